"""Jobs: work that outlives the program that started it."""
