import Testing

@testable import Domain
@testable import Webhooks

@Suite struct ProgressKeeperTests {
    private var keeper = ProgressKeeper()
    private let endpoint: Endpoint

    init() throws {
        endpoint = try EndpointExamples.endpoint(EndpointExamples.webhook(.parallel))
    }

    private func setAside(_ position: Int64) -> SetAside {
        SetAside(
            webhook: "hook", position: position, attempts: 1, status: 400, reason: "no",
            answer: "", failedAt: .at(0))
    }

    /// Delivers a batch of so many events at some second.
    private func deliver(_ count: Int, at second: Double) {
        let after = endpoint.lanes[0]?.readThrough ?? 0
        endpoint.read(
            EndpointExamples.block(String(repeating: "a", count: count), after: after), lane: 0,
            now: .at(second))
        while let (lane, batch) = endpoint.next(now: .at(second), isModest: false) {
            _ = endpoint.ended(
                lane, batch, .delivered, sentAt: .at(second), now: .at(second), status: 200,
                answer: [])
        }
    }

    private mutating func due(_ second: Double) -> ProgressStore.Changes? {
        keeper.due(.at(second))
    }

    @Test mutating func aFewDeliveriesAreKeptAfterTenSeconds() throws {
        deliver(3, at: 1)
        keeper.note(endpoint)
        #expect(keeper.nextTime == .at(11))
        let early = due(10.9)
        #expect(early == nil)
        let written = due(11)
        let changes = try #require(written)
        #expect(changes.progress.map(\.done.through) == [3])
        // One write at a time.
        #expect(keeper.nextTime == nil)
        keeper.succeeded()
        #expect(keeper.nextTime == nil)
    }

    @Test mutating func manyDeliveriesAreKeptAtOnce() throws {
        for _ in 0..<12 { endpoint.lengthenReadAhead(0) }
        deliver(600, at: 1)
        keeper.note(endpoint)
        let changes = due(1)
        #expect(changes?.progress.count == 1)
    }

    @Test mutating func whatIsSetAsideIsKeptWithTheProgressThatPassesIt() throws {
        deliver(3, at: 1)
        keeper.setAside(setAside(2), endpoint)
        let written = due(1)
        let changes = try #require(written)
        #expect(changes.setAside == [setAside(2)])
        #expect(changes.progress.map(\.done.through) == [3])
    }

    @Test mutating func whatWasNotKeptIsTakenAgainASecondLater() throws {
        deliver(3, at: 1)
        keeper.setAside(setAside(2), endpoint)
        _ = due(1)
        deliver(1, at: 2)
        keeper.failed(.at(2))
        let early = due(2.9)
        #expect(early == nil)
        let written = due(3)
        let changes = try #require(written)
        #expect(changes.setAside == [setAside(2)])
        #expect(changes.progress.map(\.done.through) == [4])
    }

    @Test mutating func ofAnEndpointThatIsRemovedNothingIsWrittenAnyMore() throws {
        deliver(3, at: 1)
        keeper.setAside(setAside(2), endpoint)
        _ = due(1)
        keeper.setAside(setAside(3), endpoint)
        keeper.redelivered("hook", 1)
        keeper.forget("hook", lane: nil)
        keeper.failed(.at(2))
        let written = due(3)
        let changes = try #require(written)
        #expect(changes.setAside.isEmpty)
        #expect(changes.redelivered.isEmpty)
        #expect(changes.progress.isEmpty)
        #expect(changes.forgotten.map(\.webhook) == ["hook"])
    }

    @Test mutating func atTheEndAllIsWrittenThoughItMayBeBeingWritten() throws {
        deliver(3, at: 1)
        keeper.setAside(setAside(2), endpoint)
        _ = due(1)
        let changes = keeper.everything([endpoint])
        #expect(changes.setAside == [setAside(2)])
        #expect(changes.progress.map(\.done.through) == [3])
    }
}
