//! backend-docker
