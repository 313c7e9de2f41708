import Testing

@testable import Domain
@testable import Webhooks

@Suite struct LaneTests {
    /// A lane that has read events of the subjects that the letters name; `-` is not selected.
    private func lane(
        _ mode: DeliveryMode, _ subjects: String, target: Int = 100, end: Int64? = nil
    ) -> Lane {
        var lane = Lane(mode: mode, done: PositionRanges(through: 0), end: end)
        lane.take(subjects, target: target)
        return lane
    }

    // MARK: Order

    @Test func inParallelEventsGoAsTheyAreRead() {
        var lane = lane(.parallel, "aab")
        #expect(lane.send(1) == [1])
        #expect(lane.send(1) == [2])
        #expect(lane.send(5) == [3])
        #expect(lane.send(5) == nil)
    }

    @Test func ofEachKeyAnEventGoesOnceTheOneBeforeIsSettled() {
        var lane = lane(.orderedByKey, "aabba")
        #expect(lane.send(1) == [1])
        #expect(lane.send(1) == [3])
        #expect(lane.send(1) == nil)
        lane.settled(1)
        #expect(lane.send(1) == [2])
        #expect(lane.send(1) == nil)
        lane.settled(3)
        #expect(lane.send(1) == [4])
        #expect(lane.send(1) == nil)
        lane.settled(2)
        #expect(lane.send(1) == [5])
    }

    @Test func aBatchTakesSeveralEventsOfAKey() {
        var lane = lane(.orderedByKey, "aabacb")
        #expect(lane.send(4) == [1, 2, 3, 4])
        // `b` is busy.
        #expect(lane.send(4) == [5])
    }

    @Test func whatWaitedForItsKeyDoesNotOvertakeAnEarlierEventOfIt() {
        var lane = lane(.orderedByKey, "abba")
        #expect(lane.send(1) == [1])
        // It is read while `a` is busy, and 4 has not come up yet.
        lane.take("a", after: 4)
        lane.settled(1)
        #expect(lane.send(1) == [2])
        lane.settled(2)
        #expect(lane.send(1) == [3])
        #expect(lane.send(1) == [4])
        #expect(lane.send(1) == nil)
        lane.settled(4)
        #expect(lane.send(1) == [5])
    }

    @Test func strictlyEachBatchWaitsForTheOneBefore() {
        var lane = lane(.strict, "abcd")
        #expect(lane.send(2) == [1, 2])
        #expect(lane.send(2) == nil)
        lane.settled(1)
        #expect(lane.send(2) == [3, 4])
        lane.failed(3)
        #expect(lane.send(2) == nil)
        lane.reload()
        #expect(lane.send(2, takesTurns: true) == [3, 4])
    }

    @Test func aBatchEndsWhereTheBytesDo() {
        var lane = lane(.parallel, "abc")
        let one = EndpointExamples.block("a").entries[0].line.count
        #expect(lane.send(9, bytesMax: one * 2) == [1, 2])
        // An event that is larger alone goes alone.
        #expect(lane.send(9, bytesMax: 1) == [3])
    }

    // MARK: Reading

    @Test func whatIsNotSelectedIsDoneAtOnce() {
        let lane = lane(.parallel, "--a--b-")
        #expect(lane.done == PositionRanges(through: 2, above: [4...5, 7...7]))
        #expect(lane.readThrough == 7)
        #expect(lane.pendingCount == 2)
    }

    @Test func itReadsNoFurtherThanItsTarget() {
        var lane = lane(.parallel, "ab-cd", target: 2)
        #expect(lane.readThrough == 2)
        #expect(!lane.wantsEvents(target: 2))
        #expect(lane.send(1) == [1])
        #expect(lane.wantsEvents(target: 2))
        lane.take("ab-cd", target: 2)
        #expect(lane.readThrough == 4)
        #expect(lane.pendingCount == 2)
    }

    @Test func aBlockThatBeginsFurtherOnIsLeftAlone() {
        var lane = lane(.parallel, "ab")
        lane.take("cd", after: 3)
        #expect(lane.readThrough == 2)
    }

    @Test func aBlockThatBeginsBeforeGivesNothingTwice() {
        var lane = lane(.parallel, "ab")
        lane.take("abcd")
        #expect(lane.send(9) == [1, 2, 3, 4])
    }

    @Test func aReplayEndsWhereItShould() {
        var lane = lane(.orderedByKey, "abc-de", end: 4)
        #expect(!lane.wantsEvents(target: 100))
        #expect(lane.send(9) == [1, 2, 3])
        #expect(!lane.isComplete)
        lane.settled(1)
        #expect(lane.isComplete)
        #expect(lane.done == PositionRanges(through: 4))
    }

    @Test func whatWasDoneBeforeIsNotReadAgain() {
        var lane = Lane(mode: .parallel, done: PositionRanges(through: 1, above: [3...4]))
        lane.take("abcdef")
        #expect(lane.send(9) == [2, 5, 6])
        lane.settled(2)
        #expect(lane.done == PositionRanges(through: 6))
    }

    // MARK: Releasing

    @Test(arguments: DeliveryMode.allCases)
    func whatWasReleasedIsReadAgainAndWhatIsInBatchesIsNot(mode: DeliveryMode) {
        var lane = lane(mode, "abca-d")
        #expect(lane.send(2) == [1, 2])
        lane.release()
        #expect(lane.pendingCount == 0)
        #expect(lane.readThrough == 2)
        lane.take("abca-d")
        #expect(lane.pendingCount == 3)
        lane.settled(1)
        #expect(lane.send(9) == [3, 4, 6])
        lane.settled(3)
        #expect(lane.done == PositionRanges(through: 6))
    }

    @Test func batchesBeyondWhatIsReadAgainKeepTheirEvents() {
        var lane = lane(.orderedByKey, "aabc")
        #expect(lane.send(1) == [1])
        #expect(lane.send(2) == [3, 4])
        lane.failed(3)
        // 2 waits for 1: the log is read again from there.
        lane.release()
        #expect(lane.readThrough == 1)
        lane.take("aabc")
        #expect(lane.pendingCount == 1)
        #expect(lane.done == PositionRanges(through: 0))
        lane.reload()
        #expect(lane.send(9) == [3, 4])
        lane.settled(3)
        lane.settled(1)
        #expect(lane.send(9) == [2])
        lane.settled(2)
        #expect(lane.done == PositionRanges(through: 4))
    }

    @Test func aBatchInFlightStaysUnsettledThoughItsEventIsSelectedNoMore() {
        var lane = lane(.parallel, "abc")
        #expect(lane.send(1) == [1])
        #expect(lane.send(1) == [2])
        lane.settled(1)
        lane.release()
        lane.take("abc") { _ in false }
        #expect(lane.done == PositionRanges(through: 1, above: [3...3]))
        lane.settled(2)
        #expect(lane.done == PositionRanges(through: 3))
    }

    @Test func whatWaitsForARetryGivesItsEventsBackAtARelease() {
        var lane = lane(.parallel, "abcd")
        #expect(lane.send(4) == [1, 2, 3, 4])
        lane.halved(1)
        #expect(lane.frozen.map(\.isLoaded) == [true, true])
        lane.release()
        #expect(lane.frozen.map(\.isLoaded) == [false, false])
        #expect(lane.send(4) == nil)
        lane.reload()
        #expect(lane.send(4) == [1, 2])
    }

    // MARK: Retries

    @Test func aRetryHasTheSameEventsHoweverLargeBatchesAreNow() {
        var lane = lane(.parallel, "abcde")
        #expect(lane.send(3) == [1, 2, 3])
        lane.failed(1)
        #expect(lane.frozen[0].attempts == 1)
        #expect(lane.positionsToLoad(takesTurns: false, now: .at(0))?.positions == [1, 2, 3])
        // Until its events are read again nothing goes.
        #expect(lane.send(1) == nil)
        lane.reload()
        #expect(lane.send(1) == [1, 2, 3])
        lane.settled(1)
        #expect(lane.done == PositionRanges(through: 3))
    }

    @Test func aBlockThatLacksAnEventOfABatchGivesItNone() {
        var lane = lane(.parallel, "abc")
        #expect(lane.send(3) == [1, 2, 3])
        lane.failed(1)
        lane.load(lane.frozen[0].number, from: EndpointExamples.block("bc", after: 1))
        #expect(!lane.frozen[0].isLoaded)
    }

    @Test func aKeyWhoseBatchWaitsForARetryHoldsUpNoOther() {
        var lane = lane(.orderedByKey, "abab")
        #expect(lane.send(1) == [1])
        #expect(lane.send(1) == [2])
        lane.settled(2)
        lane.failed(1)
        lane.reload()
        #expect(lane.send(1) == [1])
        #expect(lane.send(1) == [4])
        #expect(lane.send(1) == nil)
    }

    @Test func whatFailedLessOftenGoesFirstAndThenSomethingNew() {
        var lane = lane(.parallel, "abcd")
        #expect(lane.send(1) == [1])
        lane.failed(1)
        lane.reload()
        #expect(lane.send(1, takesTurns: true) == [1])
        lane.failed(1)
        lane.reload()
        for turn in [2, 2, 1, 2, 3] as [Int64] {
            #expect(lane.send(9, takesTurns: true) == [turn])
            lane.failed(turn)
            lane.reload()
        }
    }

    @Test func somethingNewGetsItsTurnThoughHalvesOfOneKeyWait() {
        var lane = lane(.orderedByKey, "aab")
        #expect(lane.send(2) == [1, 2])
        lane.halved(1)
        for _ in 1...2 {
            #expect(lane.send(1, takesTurns: true) == [1])
            lane.failed(1)
            lane.reload()
        }
        #expect(lane.send(1, takesTurns: true) == [3])
    }

    @Test func anEndpointThatIsDownForLongGetsOnlySoManyBatches() {
        var lane = lane(.parallel, String(repeating: "a", count: 80))
        for _ in 0..<600 {
            lane.reload()
            guard let first = lane.send(1, takesTurns: true)?.first else { break }
            lane.failed(first)
        }
        #expect(lane.frozen.count == 16)
    }

    // MARK: Halving

    @Test(arguments: DeliveryMode.allCases)
    func aBatchIsHalvedUntilOneEventIsAlone(mode: DeliveryMode) {
        var lane = lane(mode, "aabca")
        #expect(lane.send(5) == [1, 2, 3, 4, 5])
        lane.halved(1)
        #expect(lane.send(5) == [1, 2])
        lane.settled(1)
        #expect(lane.send(5) == [3, 4, 5])
        lane.halved(3)
        #expect(lane.send(5) == [3])
        lane.settled(3)
        #expect(lane.send(5) == [4, 5])
        lane.settled(4)
        #expect(lane.done == PositionRanges(through: 5))
        #expect(lane.pendingCount == 0)
    }

    @Test func halvesOfOneKeyGoOneAfterTheOther() {
        var lane = lane(.orderedByKey, "aabb")
        #expect(lane.send(4) == [1, 2, 3, 4])
        lane.take("ab", after: 4)
        lane.halved(1)
        #expect(lane.send(9) == [1, 2])
        #expect(lane.send(9) == [3, 4])
        lane.halved(1)
        #expect(lane.send(9) == [1])
        #expect(lane.send(9) == nil)
        lane.settled(3)
        #expect(lane.send(9) == [6])
        lane.settled(1)
        #expect(lane.send(9) == [2])
        lane.settled(2)
        #expect(lane.send(9) == [5])
    }

    @Test func halvesThatShareNoKeyGoTogether() {
        var lane = lane(.orderedByKey, "aabb")
        #expect(lane.send(4) == [1, 2, 3, 4])
        lane.halved(1)
        #expect(lane.send(4) == [1, 2])
        #expect(lane.send(4) == [3, 4])
    }

    // MARK: Redeliveries

    @Test func whatWasSetAsideGoesOneByOneAndOnce() {
        var lane = Lane(mode: .parallel, done: PositionRanges(through: 0), end: 0)
        lane.enqueue(7)
        lane.enqueue(3)
        lane.enqueue(7)
        let block = EndpointExamples.block("abcdefgh")
        #expect(lane.positionsToLoad(takesTurns: false, now: .at(0))?.positions == [7])
        lane.load(lane.frozen[0].number, from: block)
        #expect(lane.send(9) == [7])
        lane.enqueue(7)
        #expect(lane.positionsToLoad(takesTurns: false, now: .at(0))?.positions == [3])
        lane.load(lane.frozen[0].number, from: block)
        #expect(lane.send(9) == [3])
        lane.settled(7)
        lane.settled(3)
        #expect(lane.frozen.isEmpty)
        lane.enqueue(7)
        #expect(lane.frozen.count == 1)
    }

    // MARK: What waits

    @Test func theOldestThatWaitsIsKnown() {
        var lane = lane(.orderedByKey, "aab")
        #expect(lane.oldest == .at(1))
        #expect(lane.send(1) == [1])
        #expect(lane.oldest == .at(1))
        lane.settled(1)
        #expect(lane.oldest == .at(2))
        #expect(lane.send(1) == [2])
        lane.failed(2)
        #expect(lane.oldest == .at(2))
        lane.reload()
        #expect(lane.send(1) == [2])
        lane.settled(2)
        #expect(lane.oldest == .at(3))
    }
}

extension Lane {
    /// Reads a block of the subjects that the letters name.
    fileprivate mutating func take(
        _ subjects: String, after: Int64 = 0, target: Int = 100,
        selects: ((Int) -> Bool)? = nil
    ) {
        let block = EndpointExamples.block(subjects, after: after)
        let plain = { (index: Int) in
            LedgerEvent.types[block.entries[index].type] != "LabCreated"
        }
        read(block, target: target, selects: selects ?? plain)
    }

    /// The positions of the batch that goes next.
    fileprivate mutating func send(
        _ countMax: Int, bytesMax: Int = 1 << 20, takesTurns: Bool = false
    ) -> [Int64]? {
        let batch = next(
            countMax: countMax, bytesMax: bytesMax, takesTurns: takesTurns, now: .at(0))
        if let batch { #expect(batch.events.map(\.position) == batch.positions) }
        return batch?.positions
    }

    private func number(_ first: Int64) -> Int {
        inFlight.values.first { $0.positions[0] == first }?.number ?? 0
    }

    /// Settles the batch in flight that begins with a position; likewise the others.
    fileprivate mutating func settled(_ first: Int64) { settle(number(first)) }

    fileprivate mutating func failed(_ first: Int64) {
        freeze(number(first), isRefusal: false, now: .at(0))
    }

    fileprivate mutating func halved(_ first: Int64) { halve(number(first)) }

    /// Reads the events of all batches that wait once more.
    fileprivate mutating func reload() {
        for batch in frozen where !batch.isLoaded {
            load(batch.number, from: EndpointExamples.hundred)
        }
    }
}
