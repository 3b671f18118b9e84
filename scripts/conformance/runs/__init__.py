"""One program a runtime: reads jobs, runs them, says what came out (`conformance.exchange`)."""
