//! A software encoder for `fobctl job run --writer`, for tests: see [`keysvc_tests::encoder`].
//!
//! ```text
//! encoder FOLDER
//! ```

fn main() {
    let folder = std::env::args_os().nth(1).expect("the folder of the cards");
    keysvc_tests::encoder::serve(folder.as_ref());
}
