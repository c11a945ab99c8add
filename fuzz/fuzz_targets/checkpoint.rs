#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| -> libfuzzer_sys::Corpus {
    keysvc_fuzz::run("checkpoint", bytes)
});
