//! backend-docker
mod graph;
mod labels;
