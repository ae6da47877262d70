//! What the tests that need several crates at once share: real parts, and where they are found.
