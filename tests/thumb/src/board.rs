//! QEMU's mps2-an386, a Cortex-M4: how the program begins, counts, speaks and ends.
//!
//! Apart because it holds this program's `unsafe` code. Under `-icount shift=3` each instruction takes 8 ns of the
//! board's time, so that its timer of 25 MHz counts one step for 5 instructions, whatever the machine under it does.
#![expect(unsafe_code, reason = "a board is registers at fixed addresses and a host behind a breakpoint")]

use core::{arch::asm, fmt, ptr};

/// Instructions in one step of the timer: 40 ns of 8.
const STEP: u32 = 5;
/// The timer's steps before it begins again: 24 bits, 84 million instructions.
const STEPS: u32 = 0x00ff_ffff;

/// Registers of the timer (Armv7-M Architecture Reference Manual, B3.3): control, reload, current.
const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
const RELOAD: *mut u32 = 0xe000_e014 as *mut u32;
const CURRENT: *mut u32 = 0xe000_e018 as *mut u32;

/// Calls of the host (Arm's semihosting): write a text that ends with a zero byte, end the program.
const WRITE: usize = 0x04;
const EXIT: usize = 0x18;
/// Why it ends: it is done, or something went wrong.
const DONE: usize = 0x2_0026;
const WRONG: usize = 0x2_0024;

/// The end of RAM, and where to begin.
#[repr(C)]
pub struct Vectors(u32, extern "C" fn() -> !);

/// What the processor reads when it is switched on.
#[used]
// SAFETY: the linker script keeps this section at the address where the processor looks.
#[unsafe(link_section = ".vectors")]
static VECTORS: Vectors = Vectors(0x2040_0000, crate::start);

/// Starts the timer.
pub fn begin() {
    // SAFETY: these are the timer's registers; nothing else uses it.
    unsafe {
        RELOAD.write_volatile(STEPS);
        CURRENT.write_volatile(0);
        // By the processor's clock, without interrupts.
        CONTROL.write_volatile(0b101);
    }
}

/// What the work gives, and how many instructions it took, to within a few steps of the timer.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u32) {
    let before = left();
    let result = work();
    (result, before.wrapping_sub(left()) * STEP)
}

/// The timer counts down.
fn left() -> u32 {
    // SAFETY: reading the register has no effect.
    unsafe { CURRENT.read_volatile() }
}

/// The host's console.
pub struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            call(WRITE, ptr::from_ref(&[byte, 0]).expose_provenance());
        }
        Ok(())
    }
}

/// Ends the program, and QEMU with it.
pub fn end(good: bool) -> ! {
    loop {
        call(EXIT, if good { DONE } else { WRONG });
    }
}

fn call(number: usize, argument: usize) {
    // SAFETY: the host reads a text of one byte and its end, or nothing, and answers in r0.
    unsafe { asm!("bkpt 0xab", inout("r0") number => _, in("r1") argument) }
}
