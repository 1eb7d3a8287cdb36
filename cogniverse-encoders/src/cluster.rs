//! Hierarchical clustering by Ward's method.

/// Returns at most `wanted` clusters as lists of row numbers in ascending order; clusters are ordered by their first
/// row.
///
/// The tree of merges is found by chains of nearest neighbours, which for Ward's distance gives the tree that merging the
/// nearest pair each time gives (F. Murtagh, "A survey of recent advances in hierarchical clustering algorithms", 1983), in
/// time and memory of the square of the rows.
pub(crate) fn clusters(rows: &[Vec<f32>], wanted: usize) -> Vec<Vec<usize>> {
    let wanted = wanted.max(1);
    if rows.len() <= wanted {
        return (0..rows.len()).map(|row| vec![row]).collect();
    }
    let mut merges = Tree::new(rows).merges();
    // Ward's heights never fall along a branch, so the lowest merges are a cut through the tree.
    merges.sort_by(|a, b| a.height.total_cmp(&b.height));
    let mut parents: Vec<usize> = (0..rows.len()).collect();
    for merge in merges.iter().take(rows.len() - wanted) {
        let (a, b) = (root(&parents, merge.a), root(&parents, merge.b));
        if let Some(parent) = parents.get_mut(a.max(b)) {
            *parent = a.min(b);
        }
    }
    let mut found: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    for row in 0..rows.len() {
        if let Some(cluster) = found.get_mut(root(&parents, row)) {
            cluster.push(row);
        }
    }
    found.retain(|cluster| !cluster.is_empty());
    found
}

/// Returns the first row of the cluster that a row belongs to.
fn root(parents: &[usize], mut row: usize) -> usize {
    while let Some(parent) = parents.get(row).copied().filter(|parent| *parent != row) {
        row = parent;
    }
    row
}

/// A merge of two clusters, each given by one of its rows, with their distance.
struct Merge {
    a: usize,
    b: usize,
    height: f32,
}

struct Tree {
    count: usize,
    /// The squared distances, row by row.
    distances: Vec<f32>,
    /// The number of rows of the cluster at each position; 0 where it was merged into another.
    sizes: Vec<f32>,
}

impl Tree {
    fn new(rows: &[Vec<f32>]) -> Self {
        let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>();
        let distances = rows.iter().flat_map(|a| rows.iter().map(|b| distance(a, b))).collect();
        Self { count: rows.len(), distances, sizes: vec![1.0; rows.len()] }
    }

    fn distance(&self, a: usize, b: usize) -> f32 {
        self.distances.get(a * self.count + b).copied().unwrap_or(f32::INFINITY)
    }

    fn size(&self, place: usize) -> f32 {
        self.sizes.get(place).copied().unwrap_or(0.0)
    }

    /// Returns the nearest cluster, preferring the previous one in the chain on a tie, so that the chain ends.
    fn nearest(&self, place: usize, before: Option<usize>) -> Option<usize> {
        let mut best = before.map(|other| (other, self.distance(place, other)));
        for other in (0..self.count).filter(|other| *other != place && self.size(*other) > 0.0) {
            let distance = self.distance(place, other);
            if best.is_none_or(|(_, least)| distance < least) {
                best = Some((other, distance));
            }
        }
        best.map(|(other, _)| other)
    }

    fn merges(mut self) -> Vec<Merge> {
        let mut merges = Vec::with_capacity(self.count);
        let mut chain: Vec<usize> = Vec::new();
        while merges.len() + 1 < self.count {
            if chain.is_empty() {
                chain.extend((0..self.count).find(|place| self.size(*place) > 0.0));
            }
            let Some(last) = chain.last().copied() else { break };
            let before = chain.len().checked_sub(2).and_then(|place| chain.get(place)).copied();
            let Some(next) = self.nearest(last, before) else { break };
            if Some(next) == before {
                chain.truncate(chain.len() - 2);
                merges.push(self.merge(last.min(next), last.max(next)));
            } else {
                chain.push(next);
            }
        }
        merges
    }

    /// Merges `b` into `a` and updates the distances (Lance and Williams's recurrence for Ward).
    fn merge(&mut self, a: usize, b: usize) -> Merge {
        let (height, size_a, size_b) = (self.distance(a, b), self.size(a), self.size(b));
        for other in (0..self.count).filter(|other| *other != a && *other != b) {
            let size = self.size(other);
            let (to_a, to_b) = ((size_a + size) * self.distance(a, other), (size_b + size) * self.distance(b, other));
            let distance = (to_a + to_b - size * height) / (size_a + size_b + size);
            for place in [a * self.count + other, other * self.count + a] {
                if let Some(cell) = self.distances.get_mut(place) {
                    *cell = distance;
                }
            }
        }
        for (place, size) in [(a, size_a + size_b), (b, 0.0)] {
            if let Some(cell) = self.sizes.get_mut(place) {
                *cell = size;
            }
        }
        Merge { a, b, height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(points: &[f32]) -> Vec<Vec<f32>> {
        points.iter().map(|x| vec![*x, 0.0]).collect()
    }

    #[test]
    fn near_rows_come_together() {
        let rows = at(&[0.0, 10.0, 0.1, 20.0, 10.1, 0.2]);
        assert_eq!(clusters(&rows, 3), [vec![0, 2, 5], vec![1, 4], vec![3]]);
        assert_eq!(clusters(&rows, 2), [vec![0, 2, 5], vec![1, 3, 4]]);
        assert_eq!(clusters(&rows, 6).len(), 6);
        assert_eq!(clusters(&rows, 1), [vec![0, 1, 2, 3, 4, 5]]);
        assert!(clusters(&[], 3).is_empty());
    }

    /// A reference implementation that follows Ward's definition: the growth of the sum of squares.
    fn plainly(rows: &[Vec<f32>], wanted: usize) -> Vec<Vec<usize>> {
        let mut found: Vec<Vec<usize>> = (0..rows.len()).map(|row| vec![row]).collect();
        let mean = |members: &[usize]| -> Vec<f64> {
            (0..rows[0].len())
                .map(|cell| members.iter().map(|m| f64::from(rows[*m][cell])).sum::<f64>() / members.len() as f64)
                .collect()
        };
        while found.len() > wanted {
            let mut best = (f64::INFINITY, 0, 0);
            for a in 0..found.len() {
                for b in a + 1..found.len() {
                    let (sa, sb) = (found[a].len() as f64, found[b].len() as f64);
                    let apart: f64 = mean(&found[a]).iter().zip(mean(&found[b])).map(|(x, y)| (x - y) * (x - y)).sum();
                    let growth = sa * sb / (sa + sb) * apart;
                    if growth < best.0 {
                        best = (growth, a, b);
                    }
                }
            }
            let taken = found.remove(best.2);
            found[best.1].extend(taken);
            found[best.1].sort_unstable();
        }
        found.sort();
        found
    }

    proptest! {
        #[test]
        fn as_the_definition_says(cells in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 3), 1..24), part in 1usize..8) {
            let wanted = cells.len().div_ceil(part);
            let made = clusters(&cells, wanted);
            prop_assert_eq!(&made, &plainly(&cells, wanted));
            prop_assert_eq!(&made, &clusters(&cells, wanted));
            let mut all: Vec<usize> = made.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..cells.len()).collect::<Vec<_>>());
        }
    }
}
