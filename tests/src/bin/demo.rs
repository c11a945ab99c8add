//! `cargo demo`.

fn main() -> std::process::ExitCode {
    keysvc_tests::demo::run()
}
