//! To do
