//! Reading, annotating and deleting traces in Arize Phoenix, and analytics over them.
