//! Holds no code: it unifies the features of shared dependencies (see Cargo.toml).
