"""Real servers on the loopback interface that speak the protocols of the back ends, faults included."""
