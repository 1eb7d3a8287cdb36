//! Configuration (types, manager, stores) and the names of telemetry.
