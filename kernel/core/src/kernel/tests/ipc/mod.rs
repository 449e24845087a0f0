//! Messages between processes: against a model, and the corners one by one.

mod corners;
mod model;
mod run;
mod world;
