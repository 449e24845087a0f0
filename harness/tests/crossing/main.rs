//! Three interfaces in one kernel: what crosses from one to another, and what
//! does not.
//!
//! Purpose: one integration binary for all three together. Neighbours: each
//! interface has its own.

mod corpus;
mod files;
mod numbers;
mod others;
mod ring;
mod start;
