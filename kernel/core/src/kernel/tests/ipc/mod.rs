//! Messages between processes: against a model, the corners one by one, and the
//! short ways against the general ones.

mod corners;
mod model;
mod run;
mod ways;
mod world;
