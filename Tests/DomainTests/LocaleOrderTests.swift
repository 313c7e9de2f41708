import JSON
import SeededRandomness
import Testing

@testable import Domain

@Suite struct LocaleOrderTests {
    /// A list as JavaScript sorts it; what compares as equal shares a place.
    private struct SortedList: CustomStringConvertible {
        var name: String
        var places: [[String]]

        var description: String { name }
        var names: [String] { places.flatMap { $0 } }
    }

    /// Made by `localeCompare` of Node.js 20 with ICU 78.
    private static let lists: [SortedList] = {
        let parsed = try? JSONValue.parse(PackageResources.locale_order_json)
        return (parsed?.array ?? []).map { list in
            let places = list["order"]?.array?.map { $0.array?.map { $0.string! } ?? [$0.string!] }
            return SortedList(name: list["name"]!.string!, places: places!)
        }
    }()

    @Test(arguments: lists)
    private func `names sort as in JavaScript, however they are shuffled`(list: SortedList) {
        var random = SeededGenerator()
        for _ in 0..<20 {
            let places = list.places.map { $0.shuffled(using: &random) }
            let shuffled = list.names.shuffled(using: &random)
            let ranks = shuffled.indicesInLocaleOrder().map { index in
                places.firstIndex { $0.containsExactly(shuffled[index]) }!
            }
            #expect(ranks == ranks.sorted(), "seed \(random.seed)")
        }
    }

    @Test(arguments: lists)
    private func `names that compare as equal keep their order`(list: SortedList) {
        for place in list.places where place.count > 1 {
            for names in [place, place.reversed()] {
                #expect(names.indicesInLocaleOrder() == Array(names.indices), "\(names)")
            }
        }
    }

    @Test func `all lists are there`() {
        #expect(Self.lists.count == 15)
        #expect(Self.lists.reduce(0) { $0 + $1.names.count } > 400)
    }

    @Test func `ASCII alone sorts as it does beside other letters`() {
        var random = SeededGenerator()
        for _ in 0..<2_000 {
            let names = (0..<Int.random(in: 2...24, using: &random)).map { _ in
                name(of: 0..<128, length: 0...5, using: &random)
            }
            let last = names + ["\u{10FFFD}"]
            #expect(
                last.indicesInLocaleOrder() == names.indicesInLocaleOrder() + [names.count],
                "seed \(random.seed)")
        }
    }

    @Test func `the order of any names is total and the same for any shuffle of them`() {
        var random = SeededGenerator()
        for _ in 0..<500 {
            let names = (0..<Int.random(in: 2...20, using: &random)).map { _ in
                name(of: 0..<0x3000, length: 0...3, using: &random)
            }
            let keys = names.indicesInLocaleOrder().map { key(names[$0]) }
            for (place, later) in zip(keys, keys.dropFirst()) {
                #expect(!later.lexicographicallyPrecedes(place), "seed \(random.seed)")
            }
            let shuffled = names.shuffled(using: &random)
            let again = shuffled.indicesInLocaleOrder().map { key(shuffled[$0]) }
            #expect(again == keys, "seed \(random.seed)")
        }
    }

    @Test func `normalisation makes no difference, but to where the names were`() {
        let composed = ["\u{E9}", "\u{1E69}", "\u{AC01}", "\u{439}", "\u{958}", "\u{FB1D}"]
        let decomposed = [
            "e\u{301}", "s\u{307}\u{323}", "\u{1100}\u{1161}\u{11A8}", "\u{438}\u{306}",
            "\u{915}\u{93C}", "\u{5D9}\u{5B4}",
        ]
        for (one, other) in zip(composed, decomposed) {
            #expect(!one.isExactly(other))
            #expect(key(one) == key(other))
            #expect([one, other].indicesInLocaleOrder() == [0, 1])
            #expect([other, one].indicesInLocaleOrder() == [0, 1])
        }
    }

    @Test func `the table has every ideograph once and a place for every scalar`() {
        let table = RootCollation.shared
        #expect(table.contractions.count == 1_135)
        #expect(table.decomposition.decompositions.count == 2_081)
        let ideographs = (0x4E00...0x9FFF).compactMap { table.entry(of: $0).primary }
        #expect(Set(ideographs).count == 0x5200)
        let keys = stride(from: 0x10FFFF, through: 0x40000, by: -0x1234).compactMap {
            Unicode.Scalar($0).map { key(String($0)) }
        }
        #expect(Set(keys).count == keys.count)
    }

    private func key(_ name: String) -> [UInt32] { RootCollation.shared.sortKey(of: name) }

    private func name(
        of scalars: Range<UInt32>, length: ClosedRange<Int>, using random: inout SeededGenerator
    ) -> String {
        var name = ""
        for _ in 0..<Int.random(in: length, using: &random) {
            let scalar = Unicode.Scalar(UInt32.random(in: scalars, using: &random))
            name.unicodeScalars.append(scalar ?? "a")
        }
        return name
    }
}
