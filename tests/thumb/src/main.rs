//! A terminal without an operating system, reduced to the one thing it must be able to do: verify a value update.
//!
//! Built for `thumbv7em-none-eabi`, never run (`count.rs` is): linking it proves that the verifier needs neither `std` nor
//! a C library, and its size is what the verifier costs in flash. It holds no board support, so its heap only grows.
#![no_std]
#![no_main]

mod heap;

use core::{hint::black_box, panic::PanicInfo};
use keysvc_protocol::public_key::PublicKey;

/// The message to verify, where a terminal would have read it from its line.
#[expect(unsafe_code, reason = "the symbol's name is fixed, so that a debugger or a loader finds it")]
// SAFETY: no other item of this program has this name.
#[unsafe(no_mangle)]
pub static MESSAGE: [u8; 256] = [0; 256];

/// The site's value signing key: a `SubjectPublicKeyInfo` (RFC 5480).
#[expect(unsafe_code, reason = "the symbol's name is fixed, so that a debugger or a loader finds it")]
// SAFETY: no other item of this program has this name.
#[unsafe(no_mangle)]
pub static KEY: [u8; 91] = [0; 91];

/// Where the linker begins.
#[expect(unsafe_code, reason = "the linker looks for the entry under this name")]
// SAFETY: no other item of this program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    // Through black_box, or else the compiler works the answer out and links nothing.
    let good = PublicKey::from_spki(black_box(&KEY)).is_ok_and(|key| verify(black_box(&MESSAGE), &key));
    black_box(good);
    halt()
}

#[cfg(not(feature = "ecdsa-alone"))]
fn verify(message: &[u8], key: &PublicKey) -> bool {
    use keysvc_protocol::{bytes::Digest, value::ValueUpdate};
    black_box(ValueUpdate::verify(message, black_box(&Digest::new([0; 32])), key)).is_ok()
}

#[cfg(feature = "ecdsa-alone")]
fn verify(message: &[u8], key: &PublicKey) -> bool {
    key.verify(&[message], black_box(&[0; 64])).is_ok()
}

fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    halt()
}
