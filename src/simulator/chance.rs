//! Chance that replays: every draw is a hash of the seed and of what is drawn for, never of the
//! time or of a generator's state, so calls that arrive in another order draw the same.

use std::time::Duration;

use uuid::Uuid;

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014): spreads any number over 64 bits.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number for these two.
pub(super) fn pair(a: u64, b: u64) -> u64 {
    mix(mix(a) ^ b)
}

/// A number for this text under this seed (FNV-1a, spread).
pub(super) fn text(seed: u64, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    pair(seed, hash)
}

/// A number in `[0, 1)`.
pub(super) fn unit(hash: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    let numerator = (hash >> 11) as f64;
    numerator / 9_007_199_254_740_992.0 // 2^53
}

/// A random-looking UUID (version 4) for this number.
pub(super) fn uuid(hash: u64) -> Uuid {
    let bytes = (u128::from(mix(hash)) << 64) | u128::from(mix(hash ^ u64::MAX));
    uuid::Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
}

/// A lognormal duration: half of all draws are below `median`, `sigma` is the deviation of the
/// logarithm.
pub(super) fn lognormal(hash: u64, median: Duration, sigma: f64) -> Duration {
    if median.is_zero() || sigma <= 0.0 {
        return median;
    }
    // Box and Muller; 1 - u is never 0.
    let radius = (-2.0 * (1.0 - unit(mix(hash))).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * unit(mix(hash ^ u64::MAX))).cos();
    let factor = (sigma * normal).exp();
    Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lognormal_has_its_median_and_its_spread() {
        let median = Duration::from_millis(120);
        let mut drawn: Vec<_> = (0..10_001).map(|n| lognormal(pair(1, n), median, 0.5)).collect();
        drawn.sort();
        let middle = drawn[5_000].as_secs_f64();
        assert!((0.115..0.125).contains(&middle), "{middle}");
        // One sigma: 84.13 % of the draws are below median × e^0.5.
        let above = drawn[8_413].as_secs_f64() / middle;
        assert!((1.57..1.73).contains(&above), "{above}");
        assert_eq!(lognormal(7, median, 0.0), median);
        assert_eq!(lognormal(7, Duration::ZERO, 0.5), Duration::ZERO);
    }

    #[test]
    fn units_are_even_and_uuids_are_of_version_4() {
        let mean = (0..10_000).map(|n| unit(pair(3, n))).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
        assert_eq!(uuid(5).get_version_num(), 4);
        assert_ne!(uuid(5), uuid(6));
        assert_ne!(text(1, "a"), text(2, "a"));
    }
}
