//! The profile-agnostic video search agent.
