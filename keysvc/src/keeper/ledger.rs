//! The log and its projections: what is durable.
