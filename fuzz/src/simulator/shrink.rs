//! Makes a world that fails small.

use super::{Failure, run};

/// Leaves out steps of a failing world, as long as it still fails in the same way.
///
/// It runs the world at most `runs` times.
pub fn shrink(failure: Box<Failure>, mut runs: usize) -> Box<Failure> {
    let mut smallest = failure;
    let mut size = smallest.steps.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < smallest.steps.len() {
            if runs == 0 {
                return smallest;
            }
            runs -= 1;
            let steps = smallest.steps.iter().enumerate();
            let left = steps.filter(|(at, _)| !(from..from + size).contains(at));
            let left: Vec<usize> = left.map(|(_, step)| *step).collect();
            match run(smallest.seed, Some(&left), None) {
                Err(smaller) if place(&smaller) == place(&smallest) => smallest = smaller,
                Ok(_) | Err(_) => from += size,
            }
        }
        size /= 2;
    }
    smallest
}

/// Where a failure was seen: the first line of a panic.
fn place(failure: &Failure) -> Option<&str> {
    failure.message.lines().next()
}
