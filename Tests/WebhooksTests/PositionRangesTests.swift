import SeededRandomness
import Testing

@testable import Webhooks

@Suite struct PositionRangesTests {
    @Test func whatFollowsTheBeginningBecomesPartOfIt() {
        var ranges = PositionRanges(through: 4)
        ranges.insert(5)
        ranges.insert(6...8)
        #expect(ranges == PositionRanges(through: 8))
    }

    @Test func whatIsInTheSetAlreadyChangesNothing() {
        var ranges = PositionRanges(through: 4, above: [7...9])
        ranges.insert(2...4)
        ranges.insert(8)
        ranges.insert(7...9)
        #expect(ranges == PositionRanges(through: 4, above: [7...9]))
    }

    @Test func rangesThatTouchOrOverlapBecomeOne() {
        var ranges = PositionRanges(through: 0, above: [10...12, 20...22, 30...32])
        ranges.insert(13...19)
        #expect(ranges.above == [10...22, 30...32])
        ranges.insert(5...40)
        #expect(ranges.above == [5...40])
        ranges.insert(3)
        #expect(ranges.above == [3...3, 5...40])
    }

    @Test func aClosedGapTakesInAllThatIsNextToIt() {
        var ranges = PositionRanges(through: 4, above: [6...9, 11...12, 20...20])
        ranges.insert(5)
        #expect(ranges == PositionRanges(through: 9, above: [11...12, 20...20]))
        ranges.insert(3...13)
        #expect(ranges == PositionRanges(through: 13, above: [20...20]))
    }

    @Test func itHoldsWhatWasInsertedAndNothingElse() {
        let ranges = PositionRanges(through: 4, above: [7...9, 11...11])
        let held = (1...12).filter { ranges.contains($0) }
        #expect(held == [1, 2, 3, 4, 7, 8, 9, 11])
    }

    @Test func aTextIsReadBackAndNamesOnlyTheFirstRanges() {
        let ranges = PositionRanges(through: 4, above: [7...9, 12...12, 20...21])
        #expect(ranges.text(rangesMax: 9) == "7-9,12-12,20-21")
        #expect(PositionRanges(through: 4, text: "7-9,12-12,20-21") == ranges)
        #expect(ranges.text(rangesMax: 2) == "7-9,12-12")
        #expect(PositionRanges(through: 4, text: "") == PositionRanges(through: 4))
    }

    @Test(arguments: ["7", "7-", "-9", "9-7", "a-b", "7-9;12-12", "7-9-11"])
    func whatIsNoTextOfRangesIsRefused(text: String) {
        #expect(PositionRanges(through: 4, text: text) == nil)
    }

    @Test func afterAnyInsertionsItIsTheSetOfAllOfThem() {
        var generator = SeededGenerator()
        for _ in 0..<200 {
            var ranges = PositionRanges(through: 10)
            var all = Set<Int64>(1...10)
            for _ in 0..<40 {
                let low = Int64.random(in: 1...90, using: &generator)
                let range = low...(low + Int64.random(in: 0...8, using: &generator))
                ranges.insert(range)
                all.formUnion(range)
                #expect((1...100).allSatisfy { ranges.contains($0) == all.contains($0) })
                let bounds =
                    [ranges.through] + ranges.above.flatMap { [$0.lowerBound, $0.upperBound] }
                #expect(bounds == bounds.sorted())
                // A gap between each two, else they would be one.
                let ends = [ranges.through] + ranges.above.map(\.upperBound)
                #expect(zip(ends, ranges.above).allSatisfy { $1.lowerBound > $0 + 1 })
            }
        }
    }
}
