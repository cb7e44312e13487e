//! A heap sort, where few are sorted, and seldom: std's sort is ten times its size for each type that it sorts.

/// Sorts the items; `less` says whether the first one comes before the second one.
pub(crate) fn sort<T>(items: &mut [T], less: &dyn Fn(&T, &T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        sift(items, root, less);
    }
    for last in (1..items.len()).rev() {
        items.swap(0, last);
        sift(&mut items[..last], 0, less);
    }
}

/// Lets an item sink until both below it are smaller.
fn sift<T>(heap: &mut [T], mut root: usize, less: &dyn Fn(&T, &T) -> bool) {
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && less(&heap[child], &heap[child + 1]) {
            child += 1;
        }
        if !less(&heap[root], &heap[child]) {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

#[cfg(test)]
mod tests {
    use super::sort;

    #[test]
    fn whatever_the_order_was_it_is_that_of_the_standard_library_afterwards() {
        let mut state = 42u64;
        for length in 0..200 {
            let mut random = || {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) % 50
            };
            let mut items: Vec<u64> = (0..length).map(|_| random()).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, &|a, b| a < b);
            assert_eq!(items, expected);
        }
    }
}
