//! backend-shell
