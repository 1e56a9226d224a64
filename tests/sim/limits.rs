//! Limits: each world under each seed keeps a number.

use super::sweep::in_parallel;

pub const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

pub fn rms(errors: &[f64]) -> f64 {
    (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt()
}

/// Judges each of the named worlds under each seed; prints all, and fails if one is past the limit.
pub fn within<T: Sync>(unit: &str, limit: f64, worlds: &[(&str, T)], judge: impl Fn(&T, u64) -> f64 + Sync) {
    within_each(unit, &worlds.iter().map(|w| (w.0, limit, &w.1)).collect::<Vec<_>>(), |w, seed| {
        judge(w, seed)
    });
}

pub fn within_each<T: Sync>(unit: &str, worlds: &[(&str, f64, T)], judge: impl Fn(&T, u64) -> f64 + Sync) {
    let runs: Vec<_> = worlds.iter().flat_map(|w| SEEDS.map(|seed| (w, seed))).collect();
    let figures = in_parallel(&runs, |((_, _, world), seed)| judge(world, *seed));
    let mut past = Vec::new();
    for (index, (name, limit, _)) in worlds.iter().enumerate() {
        let own = &figures[index * SEEDS.len()..(index + 1) * SEEDS.len()];
        let text = own.iter().map(|f| format!("{f:.4}")).collect::<Vec<_>>().join(" ");
        println!("{name}: {text} {unit}, limit {limit}");
        if own.iter().any(|f| f.is_nan() || f > limit) {
            past.push(format!("{name}: {text}"));
        }
    }
    assert!(past.is_empty(), "past the limit: {past:#?}");
}
