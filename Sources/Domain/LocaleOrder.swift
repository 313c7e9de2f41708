extension [String] {
    /// The places of the texts in the order JavaScript's `localeCompare` sorts them in en-US.
    ///
    /// That is the root order of CLDR: `_` < `-` < `1` < `a` < `A` < `ä` < `b`, and `v10` < `v2`.
    /// Texts that compare as equal, such as a composed and a decomposed letter, keep their order.
    package func indicesInLocaleOrder() -> [Int] {
        if allSatisfy(\.isASCII) { return sortedIndices { asciiPrecedes(self[$0], self[$1]) } }
        let keys = map { RootCollation.shared.sortKey(of: $0) }
        return sortedIndices { keys[$0].lexicographicallyPrecedes(keys[$1]) }
    }

    /// A stable sort; by insertion where there are few names, as a rule two or three.
    private func sortedIndices(by precedes: (Int, Int) -> Bool) -> [Int] {
        var sorted = [Int](indices)
        if count > 16 {
            sorted.sort { precedes($0, $1) || ($0 < $1 && !precedes($1, $0)) }
            return sorted
        }
        for place in sorted.indices.dropFirst() {
            let moved = sorted[place]
            var hole = place
            while hole > 0, precedes(moved, sorted[hole - 1]) {
                sorted[hole] = sorted[hole - 1]
                hole -= 1
            }
            sorted[hole] = moved
        }
        return sorted
    }
}
