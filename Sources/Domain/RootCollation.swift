/// The Unicode Collation Algorithm (UTS #10) with CLDR's root order, as ICU has it for en-US.
///
/// Punctuation is not ignored; differences of letters come first, then of accents, then of case.
/// The weights are ranks: what matters is their order. An element of the table is 32 bits wide,
/// from the top 18 of primary weight, 9 of secondary and 5 of tertiary; a weight of 0 is ignored.
///
/// Canonically equivalent texts are always equal here. ICU tells a few apart against the algorithm:
/// where the noncharacter U+FDD1, U+113C2 or U+1611E stands before a composed letter, and where
/// marks of and beyond the first 65,536 scalars are out of order after the start of a contraction.
struct RootCollation: Sendable {
    /// Made when it is first asked for: names are nearly always ASCII, which needs none of it.
    static let shared = RootCollation(packed: packed)

    /// The primary weight of scalars the table does not have; the scalar itself decides further.
    var unassigned: UInt32 = 0
    /// The weights of most elements below the first level.
    var plain: UInt32 = 0
    /// By the upper bits of a scalar: which page of ``entries`` has it.
    var pages = [UInt16](repeating: 0, count: 0x110000 >> 8)
    /// By scalar, in pages of 256. The first page is empty and stands for all that are missing.
    var entries = [Entry](repeating: .none, count: 256)
    var elements: [UInt32] = []
    /// What several scalars in sequence stand for together.
    var contractions: [[UInt32]: Entry] = [:]
    var contractionStarts: Set<UInt32> = []
    var decomposition = CanonicalDecomposition()

    /// Where ``elements`` has those of a scalar.
    struct Entry: Sendable {
        /// A start, times 32, plus a count; the highest bit set: the primary weight itself.
        private var bits: UInt32

        private init(bits: UInt32) { self.bits = bits }

        static let none = Entry(bits: UInt32.max)

        init(_ elements: Range<Int>) {
            bits = UInt32(elements.lowerBound) << 5 | UInt32(elements.count)
        }

        init(primary: UInt32) { bits = 1 << 31 | primary }

        var isNone: Bool { bits == UInt32.max }
        var primary: UInt32? { bits >> 31 == 1 ? bits & 0x7FFF_FFFF : nil }
        var elements: Range<Int> { Int(bits >> 5)..<Int(bits >> 5) + Int(bits & 31) }
    }

    func entry(of scalar: UInt32) -> Entry {
        entries[Int(pages[Int(scalar >> 8)]) << 8 | Int(scalar & 0xFF)]
    }

    /// Numbers that compare as the texts do: each level's weights, and a 0 between levels.
    func sortKey(of text: String) -> [UInt32] {
        var key = KeyBuilder()
        var scalars = decomposition.scalars(of: text)
        var place = 0
        while place < scalars.count {
            add(takeEntry(&scalars, &place), of: scalars[place - 1], to: &key)
        }
        return key.joined
    }

    private func add(_ entry: Entry, of scalar: UInt32, to key: inout KeyBuilder) {
        if entry.isNone {
            key.append(unassigned << 14 | plain)
            // Above the weight that a few of the table's own elements have in this place.
            key.primaries.append(scalar + 2)
        } else if let primary = entry.primary {
            key.append(primary << 14 | plain)
        } else {
            for element in elements[entry.elements] { key.append(element) }
        }
    }

    /// Finds what the scalar at `place` and those after it stand for together (UTS #10, S2.1).
    ///
    /// The longest sequence of the table wins; marks after it that no other of their class blocks
    /// are taken out of `scalars` where they lengthen it.
    private func takeEntry(_ scalars: inout [UInt32], _ place: inout Int) -> Entry {
        let first = scalars[place]
        guard contractionStarts.contains(first) else {
            place += 1
            return entry(of: first)
        }
        var sequence = [first]
        var found = entry(of: first)
        for length in [3, 2] where place + length <= scalars.count {
            let longer = Array(scalars[place..<place + length])
            guard let entry = contractions[longer] else { continue }
            (sequence, found) = (longer, entry)
            break
        }
        place += sequence.count
        var next = place
        var blocking: UInt8 = 0
        while next < scalars.count {
            let combiningClass = decomposition.combiningClass(of: scalars[next])
            if combiningClass == 0 { break }
            if combiningClass > blocking, let entry = contractions[sequence + [scalars[next]]] {
                sequence.append(scalars.remove(at: next))
                found = entry
            } else {
                blocking = combiningClass
                next += 1
            }
        }
        return found
    }
}

/// The weights of a text, level by level.
private struct KeyBuilder {
    var primaries: [UInt32] = []
    private var secondaries: [UInt32] = []
    private var tertiaries: [UInt32] = []

    mutating func append(_ element: UInt32) {
        let (primary, secondary, tertiary) = (element >> 14, element >> 5 & 0x1FF, element & 0x1F)
        if primary != 0 { primaries.append(primary) }
        if secondary != 0 { secondaries.append(secondary) }
        if tertiary != 0 { tertiaries.append(tertiary) }
    }

    var joined: [UInt32] { primaries + [0] + secondaries + [0] + tertiaries }
}
