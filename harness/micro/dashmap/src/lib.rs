//! The loops of harness/micro over a DashMap, so that no call between languages is in a timed read.
//!
//! Two tables: `default` is what `DashMap::new()` gives (SipHash, values as `Arc<Vec<u8>>`), `fast` is
//! tuned by somebody who knows it: a multiply-and-fold hash and values of one allocation, `Arc<[u8]>`.
//! Values are behind an Arc because a reply must outlive the shard's lock: `ref` takes the Arc out and
//! reads its first byte; `copy` copies under the lock, which is cheaper than to take the Arc as well.
//! DashMap has no batched read, so `batch16` is sixteen reads by reference.
//!
//! The layout of `Work` and `Tally` and what the fields mean: ../target.h, ../dashmap_target.cc.
use std::arch::asm;
use std::arch::x86_64::{__rdtscp, _mm_lfence, _rdtsc};
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use dashmap::DashMap;

const NAME_BYTES: usize = 21;
const BATCH: usize = 16;

#[repr(C)]
pub struct Name {
    bytes: [u8; 24], // NAME_BYTES and padding
}

#[repr(C)]
pub struct Work {
    names: *const Name,
    draws: usize, // a power of two
    from: usize,
    count: usize, // a multiple of BATCH
    out: *mut u8,
    out_bytes: usize,
    how: u32, // 0 ref, 1 copy, 2 batch16
    writes: u32,
}

#[repr(C)]
#[derive(Default)]
pub struct Tally {
    reads: u64,
    hits: u64,
    samples: u64,
}

const _: () = assert!(std::mem::size_of::<Name>() == 24);
const _: () = assert!(std::mem::size_of::<Work>() == 56);
const _: () = assert!(std::mem::size_of::<Tally>() == 24);

impl Name {
    #[inline]
    fn text(&self) -> &str {
        // SAFETY: names are ASCII by construction.
        unsafe { std::str::from_utf8_unchecked(&self.bytes[..NAME_BYTES]) }
    }
}

/// A wide multiplication folded to 64 bits, as in wyhash.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[derive(Clone, Default)]
struct Fast;
struct FastHasher(u64);

impl BuildHasher for Fast {
    type Hasher = FastHasher;
    #[inline]
    fn build_hasher(&self) -> FastHasher {
        FastHasher(0)
    }
}

#[inline]
fn word(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

impl Hasher for FastHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
        let mut rest = bytes;
        while rest.len() > 16 {
            state = fold(word(rest) ^ state, word(&rest[8..]) ^ 0xe703_7ed1_a0b4_28db);
            rest = &rest[16..];
        }
        let (a, b) = match rest.len() {
            8..=16 => (word(rest), word(&rest[rest.len() - 8..])),
            4..=7 => (
                u64::from(u32::from_le_bytes(rest[..4].try_into().unwrap())),
                u64::from(u32::from_le_bytes(rest[rest.len() - 4..].try_into().unwrap())),
            ),
            0 => (0, 0),
            n => (
                u64::from(rest[0]) | u64::from(rest[n / 2]) << 8 | u64::from(rest[n - 1]) << 16,
                0,
            ),
        };
        self.0 = fold(
            self.0 ^ fold(a ^ 0x8ebc_6af0_9c88_c6e3, b ^ state),
            0x5899_65cc_7537_4cc3,
        );
    }
    // The byte that ends a str adds nothing: names are hashed alone.
    #[inline]
    fn write_u8(&mut self, _: u8) {}
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

trait Value: Clone + Send + Sync + 'static {
    fn make(bytes: &[u8]) -> Self;
    fn bytes(&self) -> &[u8];
}

impl Value for Arc<Vec<u8>> {
    fn make(bytes: &[u8]) -> Self {
        Arc::new(bytes.to_vec())
    }
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Value for Arc<[u8]> {
    fn make(bytes: &[u8]) -> Self {
        Arc::from(bytes)
    }
    #[inline]
    fn bytes(&self) -> &[u8] {
        self
    }
}

/// The same draws are writes in every program: ../target.h, is_write.
#[inline]
fn is_write(at: usize, limit: u32) -> bool {
    (at as u32).wrapping_mul(2_654_435_761) < limit
}

#[inline]
fn write_limit(percent: u32) -> u32 {
    ((u64::from(percent) << 32) / 100) as u32
}

/// Where replies are copied to: one after the other, from the start again when full.
struct Out {
    start: *mut u8,
    size: usize,
    used: usize,
}

impl Out {
    #[inline]
    fn take(&mut self, bytes: &[u8]) {
        if self.used + bytes.len() > self.size {
            self.used = 0;
        }
        // SAFETY: the caller's buffer has `size` bytes, more than any value; the empty assembly makes the
        // copy something that somebody might read.
        unsafe {
            let to = self.start.add(self.used);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            asm!("/* {0} */", in(reg) to, options(nostack, preserves_flags));
        }
        self.used += bytes.len();
    }
}

/// Nothing before it is still under way, nothing after it has begun. The same instructions as in ../ticks.h.
#[inline]
fn ticks_begin() -> u64 {
    // SAFETY: every x86-64 has them.
    unsafe {
        _mm_lfence();
        let now = _rdtsc();
        _mm_lfence();
        now
    }
}

#[inline]
fn ticks_end() -> u64 {
    let mut core = 0;
    // SAFETY: as above.
    unsafe {
        _mm_lfence();
        let now = __rdtscp(&mut core);
        _mm_lfence();
        now
    }
}

struct Sampler<'a> {
    ticks: &'a mut [u32],
    taken: usize,
}

impl Sampler<'_> {
    /// Times `read` alone. Its names are touched first: they are at hand, as in a receive buffer.
    #[inline]
    fn timed<R: FnOnce() -> u64>(&mut self, names: &[Name], read: R) -> u64 {
        for name in names {
            // SAFETY: references to bytes; volatile, so that they are read.
            unsafe {
                std::ptr::read_volatile(&name.bytes[0]);
                std::ptr::read_volatile(&name.bytes[NAME_BYTES - 1]);
            }
        }
        let begin = ticks_begin();
        let hits = read();
        let end = ticks_end();
        self.ticks[self.taken] = end.wrapping_sub(begin).min(u64::from(u32::MAX)) as u32;
        self.taken += 1;
        hits
    }
}

struct Table<V, S> {
    map: DashMap<String, V, S>,
    value: Vec<u8>,
}

impl<V: Value, S: BuildHasher + Clone> Table<V, S> {
    #[inline]
    fn read_ref(&self, name: &Name) -> u64 {
        let held = self.map.get(name.text()).map(|found| found.value().clone());
        match held {
            Some(value) => {
                // SAFETY: a reference to a byte; volatile, so that it is read.
                unsafe { std::ptr::read_volatile(&value.bytes()[0]) };
                1
            }
            None => 0,
        }
    }
    #[inline]
    fn read_copy(&self, name: &Name, out: &mut Out) -> u64 {
        match self.map.get(name.text()) {
            Some(found) => {
                out.take(found.value().bytes());
                1
            }
            None => 0,
        }
    }
    fn put(&self, name: &Name) {
        let value = V::make(&self.value);
        if let Some(mut found) = self.map.get_mut(name.text()) {
            *found = value;
            return;
        }
        self.map.insert(name.text().to_string(), value);
    }

    /// `one` for every draw that is no write, and a put for every other.
    #[inline]
    fn each<F: FnMut(&Name) -> u64>(&self, names: &[Name], work: &Work, mut one: F) -> Tally {
        let mask = names.len() - 1;
        let limit = write_limit(work.writes);
        let mut tally = Tally::default();
        if limit == 0 {
            for i in work.from..work.from + work.count {
                tally.hits += one(&names[i & mask]);
            }
            tally.reads = work.count as u64;
            return tally;
        }
        for i in work.from..work.from + work.count {
            let at = i & mask;
            if is_write(at, limit) {
                self.put(&names[at]);
            } else {
                tally.reads += 1;
                tally.hits += one(&names[at]);
            }
        }
        tally
    }
}

trait Loops: Send + Sync {
    fn fill(&self, names: &[Name]);
    fn len(&self) -> usize;
    fn run(&self, work: &Work) -> Tally;
    fn sample(&self, work: &Work, ticks: *mut u32) -> Tally;
}

impl<V: Value, S: BuildHasher + Clone + Send + Sync> Loops for Table<V, S> {
    fn fill(&self, names: &[Name]) {
        for name in names {
            self.map.insert(name.text().to_string(), V::make(&self.value));
        }
    }
    fn len(&self) -> usize {
        self.map.len()
    }
    fn run(&self, work: &Work) -> Tally {
        // SAFETY: the caller's ring of names.
        let names = unsafe { std::slice::from_raw_parts(work.names, work.draws) };
        let mut out = Out { start: work.out, size: work.out_bytes, used: 0 };
        if work.how == 1 {
            self.each(names, work, |name| self.read_copy(name, &mut out))
        } else {
            self.each(names, work, |name| self.read_ref(name))
        }
    }
    fn sample(&self, work: &Work, ticks: *mut u32) -> Tally {
        // SAFETY: the caller's ring of names, and room for one sample a draw.
        let names = unsafe { std::slice::from_raw_parts(work.names, work.draws) };
        let ticks = unsafe { std::slice::from_raw_parts_mut(ticks, work.count) };
        let mut out = Out { start: work.out, size: work.out_bytes, used: 0 };
        let mut sampler = Sampler { ticks, taken: 0 };
        let mut tally = match work.how {
            2 => self.sample_batches(names, work, &mut sampler),
            1 => self.each(names, work, |name| {
                sampler.timed(std::slice::from_ref(name), || self.read_copy(name, &mut out))
            }),
            _ => self.each(names, work, |name| {
                sampler.timed(std::slice::from_ref(name), || self.read_ref(name))
            }),
        };
        tally.samples = sampler.taken as u64;
        tally
    }
}

impl<V: Value, S: BuildHasher + Clone> Table<V, S> {
    fn sample_batches(
        &self,
        names: &[Name],
        work: &Work,
        sampler: &mut Sampler,
    ) -> Tally {
        let limit = write_limit(work.writes);
        let mut tally = Tally::default();
        for i in (0..work.count).step_by(BATCH) {
            let from = (work.from + i) & (names.len() - 1);
            let batch = &names[from..from + BATCH];
            let read = |at: usize| limit == 0 || !is_write(at, limit);
            tally.reads += (from..from + BATCH).filter(|at| read(*at)).count() as u64;
            tally.hits += sampler.timed(batch, || {
                let mut hits = 0;
                for (j, name) in batch.iter().enumerate() {
                    if read(from + j) {
                        hits += self.read_ref(name);
                    }
                }
                hits
            });
            for (j, name) in batch.iter().enumerate() {
                if !read(from + j) {
                    self.put(name);
                }
            }
        }
        tally
    }
}

fn table<V: Value, S: BuildHasher + Clone + Send + Sync + 'static>(
    hasher: S,
    keys: usize,
    value: Vec<u8>,
) -> Box<dyn Loops> {
    // The number of shards is DashMap's own choice, four for each core and rounded up.
    Box::new(Table::<V, S> { map: DashMap::with_capacity_and_hasher(keys, hasher), value })
}

/// # Safety
/// `value` has `value_bytes` bytes.
#[no_mangle]
pub unsafe extern "C" fn nearlane_dashmap_new(
    fast: bool,
    keys: usize,
    value: *const u8,
    value_bytes: usize,
) -> *mut std::ffi::c_void {
    let value = std::slice::from_raw_parts(value, value_bytes).to_vec();
    let loops = if fast {
        table::<Arc<[u8]>, _>(Fast, keys, value)
    } else {
        table::<Arc<Vec<u8>>, _>(RandomState::new(), keys, value)
    };
    Box::into_raw(Box::new(loops)).cast()
}

unsafe fn loops<'a>(table: *mut std::ffi::c_void) -> &'a dyn Loops {
    (*table.cast::<Box<dyn Loops>>()).as_ref()
}

/// # Safety
/// `table` comes from nearlane_dashmap_new; `names` has `count` names.
#[no_mangle]
pub unsafe extern "C" fn nearlane_dashmap_fill(
    table: *mut std::ffi::c_void,
    names: *const Name,
    count: usize,
) -> usize {
    loops(table).fill(std::slice::from_raw_parts(names, count));
    loops(table).len()
}

/// # Safety
/// `table` comes from nearlane_dashmap_new; `work` is as described there.
#[no_mangle]
pub unsafe extern "C" fn nearlane_dashmap_run(
    table: *mut std::ffi::c_void,
    work: *const Work,
    tally: *mut Tally,
) {
    *tally = loops(table).run(&*work);
}

/// # Safety
/// As nearlane_dashmap_run; `ticks` has room for one sample a draw.
#[no_mangle]
pub unsafe extern "C" fn nearlane_dashmap_sample(
    table: *mut std::ffi::c_void,
    work: *const Work,
    ticks: *mut u32,
    tally: *mut Tally,
) {
    *tally = loops(table).sample(&*work, ticks);
}

/// # Safety
/// `table` comes from nearlane_dashmap_new and is not used again.
#[no_mangle]
pub unsafe extern "C" fn nearlane_dashmap_free(table: *mut std::ffi::c_void) {
    drop(Box::from_raw(table.cast::<Box<dyn Loops>>()));
}
