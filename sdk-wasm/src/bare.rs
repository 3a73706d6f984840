//! Parts that the standard library would have brought: a heap, and an end for panics.

use core::panic::PanicInfo;

/// A third of the size of the allocator that the standard library brings, and as fast for the few blocks of a signature.
#[global_allocator]
static HEAP: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// A trap without a word: nothing of the message is left in the module.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
