//! A persona's token in a process of its own, for tests ([`keysvc_tests::cards`]): signs what it reads.

fn main() {
    let config = std::env::args_os().nth(1).expect("the path of a client.toml");
    keysvc_tests::cards::serve(config.as_ref());
}
