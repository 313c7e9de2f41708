import Testing

@testable import Domain
@testable import Webhooks

@Suite struct EndpointTests {
    private func endpoint(
        _ mode: DeliveryMode = .orderedByKey, progress: [LaneProgress] = [],
        replays: [WebhookReplay] = [], adjust: (inout WebhookSettings) -> Void = { _ in }
    ) throws -> Endpoint {
        var webhook = try EndpointExamples.webhook(mode, adjust: adjust)
        webhook.replays = replays
        return try EndpointExamples.endpoint(webhook, progress: progress)
    }

    private func replay(through: Int64, rateLimit: Double? = nil) -> WebhookReplay {
        WebhookReplay(
            number: 1, from: 1, through: through, rateLimit: rateLimit, requestedAt: .at(0))
    }

    // MARK: When it is looked at again

    @Test func anEndpointThatIsDownAndLimitedIsWokenWhenBothLetItGo() throws {
        let endpoint = try endpoint { settings in
            settings.rateLimit = 1
            settings.batchCountMax = 1
        }
        endpoint.take("ab")
        #expect(endpoint.send(0) == [1])
        endpoint.end(1, .unwell, at: 0.1)
        #expect(endpoint.send(0.1) == nil)
        #expect(endpoint.nextTime(after: .at(0.1)) == .at(1))
    }

    @Test func aSlowReplayIsWokenThoughTheDeliveriesMayGoBefore() throws {
        let endpoint = try endpoint(replays: [replay(through: 2, rateLimit: 0.1)]) { settings in
            settings.rateLimit = 100
            settings.batchCountMax = 1
        }
        endpoint.take("ab", lane: 1)
        #expect(endpoint.send(0) == [1])
        endpoint.end(1, .delivered, at: 0.1)
        #expect(endpoint.send(0.1) == nil)
        #expect(endpoint.nextTime(after: .at(0.1)) == .at(10))
    }

    @Test func anEndpointThatWaitsForNothingSetsNoAlarm() throws {
        let endpoint = try endpoint()
        endpoint.take("ab")
        #expect(endpoint.send(0) == [1, 2])
        #expect(endpoint.nextTime(after: .at(0)) == nil)
    }

    // MARK: Answers

    @Test func whatIsRefusedIsSetAsideWithTheAnswerAndTheOthersArrive() throws {
        let endpoint = try endpoint(.parallel)
        endpoint.take("abcd")
        #expect(endpoint.send(0) == [1, 2, 3, 4])
        #expect(endpoint.end(1, .refused("answered 400"), at: 1).setAside == nil)
        #expect(endpoint.send(1) == [1, 2])
        #expect(endpoint.send(1) == [3, 4])
        endpoint.end(3, .delivered, at: 2)
        endpoint.end(1, .refused("answered 400"), at: 2)
        #expect(endpoint.send(2) == [1])
        #expect(endpoint.send(2) == [2])
        endpoint.end(1, .delivered, at: 3)
        let setAside = endpoint.end(
            2, .refused("answered 400"), at: 3, status: 400, answer: Array("no\0pe".utf8)
        ).setAside
        #expect(
            setAside
                == SetAside(
                    webhook: "hook", position: 2, attempts: 3, status: 400,
                    reason: "answered 400", answer: "nope", failedAt: .at(3)))
        #expect(endpoint.setAsideCount == 1)
        #expect(endpoint.lanes[0]?.done == PositionRanges(through: 4))
        #expect(!endpoint.health.isDown)
    }

    @Test func afterTenRefusalsInARowTheEndpointIsToBlame() throws {
        let endpoint = try endpoint(.parallel) { $0.batchCountMax = 1 }
        endpoint.take(String(repeating: "a", count: 11))
        for position in 1...10 as ClosedRange<Int64> {
            #expect(endpoint.send(0) == [position])
            #expect(endpoint.end(position, .refused("no"), at: 0).setAside?.position == position)
        }
        #expect(endpoint.send(1) == [11])
        #expect(endpoint.end(11, .refused("no"), at: 1).setAside == nil)
        #expect(endpoint.health.isDown)
    }

    @Test func whatTheServerFailsAtIsBlamedOnceItHasTakenOthersThreeTimes() throws {
        let endpoint = try endpoint(.parallel) { $0.batchCountMax = 1 }
        var others: [Int64] = []
        var now = 0.0
        var setAside: SetAside?
        while setAside == nil, let next = endpoint.refilled(now).send(now)?.first {
            let verdict = next == 2 ? Verdict.unwell : .delivered
            if next != 2 { others.append(next) }
            setAside = endpoint.end(next, verdict, at: now).setAside
            now = endpoint.nextTime(after: .at(now))?.seconds ?? now + 0.01
        }
        #expect(setAside?.position == 2)
        #expect(others.count >= 3)
    }

    @Test(arguments: [
        Verdict.Failure(reason: "answered 429", isOverload: true),
        Verdict.Failure(reason: "answered 503", retryAfter: .seconds(1)),
        Verdict.Failure(reason: "timed out", isOverload: true),
    ])
    func whoIsOverloadedSetsNothingAside(failure: Verdict.Failure) throws {
        let endpoint = try endpoint(.parallel) { $0.batchCountMax = 1 }
        var now = 0.0
        for round in 0..<100 {
            let next = try #require(endpoint.refilled(now).send(now)?.first)
            // Event 2 meets it whenever it is sent, and others in between do not.
            let verdict = next == 2 || round % 7 == 0 ? Verdict.failed(failure) : .delivered
            #expect(endpoint.end(next, verdict, at: now).setAside == nil)
            now = endpoint.nextTime(after: .at(now))?.seconds ?? now + 0.01
        }
        #expect(endpoint.counts.delivered > 10)
    }

    @Test func aGoneEndpointIsDisabledAndUntilThenOnlyTriedNowAndThen() throws {
        let endpoint = try endpoint()
        endpoint.take("a")
        #expect(endpoint.send(0) == [1])
        let reason = endpoint.end(1, .gone("answered 410"), at: 1).disableReason
        #expect(reason == "the endpoint answered 410 Gone")
        endpoint.reload(1)
        #expect(endpoint.send(1) == [1])
        endpoint.end(1, .gone("answered 410"), at: 2)
        endpoint.reload(2)
        #expect(endpoint.send(2) == nil)
        #expect(endpoint.nextTime(after: .at(2)) != nil)
    }

    // MARK: Memory

    @Test func whatWaitsForAnEndpointThatIsDownIsReadWhenItsTimeComes() throws {
        let endpoint = try endpoint { $0.batchCountMax = 2 }
        endpoint.take("aabbcc")
        #expect(endpoint.send(0) == [1, 2])
        endpoint.end(1, .unwell, at: 1)
        endpoint.reload(1)
        #expect(endpoint.send(1) == [1, 2])
        endpoint.end(1, .unwell, at: 2)
        #expect(endpoint.lanes[0]?.pendingCount == 0)
        #expect(!endpoint.wantsEvents(0, now: .at(2)))
        let retryAt = try #require(endpoint.health.retryAt)
        #expect(endpoint.wantsEvents(0, now: retryAt))
        #expect(endpoint.readAhead(0) == 16)
        #expect(endpoint.status(head: 6, now: .at(11)).lagSeconds == 10)
    }

    @Test func sinceWhenSomethingWaitsIsKnownOfAnEndpointThatIsDownAfterARestart() throws {
        let row = LaneProgress(
            webhook: "hook", lane: 0, createdPosition: 1, done: PositionRanges(through: 2),
            failures: 4, failingSince: .at(0), retryAt: .at(500))
        let endpoint = try endpoint(progress: [row])
        #expect(endpoint.wantsEvents(0, now: .at(10)))
        endpoint.take("abcd")
        #expect(!endpoint.wantsEvents(0, now: .at(10)))
        #expect(endpoint.status(head: 4, now: .at(10)).lagSeconds == 7)
        #expect(endpoint.send(10) == nil)
        #expect(endpoint.send(500) == [3, 4])
    }

    @Test func deliveriesWaitWhileTooManyOfThemAreNotKept() throws {
        let endpoint = try endpoint(.parallel) { $0.batchCountMax = 10_000 }
        endpoint.deliver(10_000)
        // It is being kept, which counts until it is.
        _ = endpoint.takeProgress()
        endpoint.deliver(10_000, after: 10_000)
        endpoint.take("a", after: 20_000)
        #expect(endpoint.send(2) == nil)
        endpoint.progressWasNotKept(.at(2))
        #expect(endpoint.send(2) == nil)
        _ = endpoint.takeProgress()
        #expect(endpoint.send(2) == nil)
        endpoint.progressWasKept()
        #expect(endpoint.send(2) == [20_001])
    }

    // MARK: Settings

    @Test func aBatchThatIsTooLongByNewSettingsIsHalved() throws {
        let endpoint = try endpoint(.parallel)
        endpoint.take("abcd")
        #expect(endpoint.send(0) == [1, 2, 3, 4])
        endpoint.end(1, .unwell, at: 1)
        var webhook = endpoint.webhook
        webhook.settings.encoder = "standard-webhooks"
        endpoint.update(
            webhook, form: try EndpointExamples.form(webhook),
            matcher: try EndpointExamples.matcher(webhook))
        endpoint.reload(1)
        var arrived: [Int64] = []
        while let (lane, batch) = endpoint.next(now: .at(1), isModest: false) {
            do {
                _ = try endpoint.form.body(of: batch)
                arrived += batch.positions
            } catch {
                _ = endpoint.refuseUnsent(lane, batch, "\(error)", now: .at(1))
            }
        }
        #expect(arrived == [1, 2, 3, 4])
    }

    @Test func aReplayKeepsTheOrderThatTheSettingsAskForNow() throws {
        let endpoint = try endpoint(.parallel, replays: [replay(through: 9)])
        var webhook = endpoint.webhook
        webhook.settings.mode = .strict
        endpoint.update(
            webhook, form: try EndpointExamples.form(webhook),
            matcher: try EndpointExamples.matcher(webhook))
        #expect(endpoint.lanes[0]?.mode == .strict)
        #expect(endpoint.lanes[1]?.mode == .strict)
        #expect(endpoint.lanes[-1]?.mode == .parallel)
    }

    // MARK: Lanes

    @Test func whatWasAskedForGoesNowAndThenThoughThereIsAlwaysNews() throws {
        let endpoint = try endpoint(.parallel, replays: [replay(through: 40)]) {
            $0.batchCountMax = 1
        }
        endpoint.take(String(repeating: "a", count: 40))
        endpoint.take(String(repeating: "a", count: 40), lane: 1)
        var lanes: [Int] = []
        for _ in 0..<24 { lanes.append(endpoint.next(now: .at(0), isModest: false)?.lane ?? -9) }
        #expect(lanes.filter { $0 == 1 }.count == 3)
        #expect(lanes.firstIndex(of: 1) == 7)
    }

    @Test func ofAnEndpointThatIsDownEachLaneHasItsTurn() throws {
        let endpoint = try endpoint(.parallel, replays: [replay(through: 9)]) {
            $0.batchCountMax = 1
        }
        endpoint.take("aa", lane: 0)
        var lanes: Set<Int> = []
        var now = 0.0
        for _ in 0..<12 {
            for lane in [0, 1] where endpoint.wantsEvents(lane, now: .at(now)) {
                endpoint.take("aaaaaaaaa", lane: lane)
            }
            endpoint.reload(now)
            guard let (lane, batch) = endpoint.next(now: .at(now), isModest: false) else {
                continue
            }
            lanes.insert(lane)
            endpoint.end(batch.positions[0], .unwell, at: now + 0.1, lane: lane)
            now = endpoint.health.retryAt?.seconds ?? now
        }
        #expect(lanes == [0, 1])
    }

    // MARK: Names of batches

    @Test func batchesThatBeginWithTheSameEventAndAreAsLongHaveNamesOfTheirOwn() throws {
        var names: Set<String> = []
        for subjects in ["ab--", "a-b-", "a--b", "abc-", "ab-c", "a---", "abcd"] {
            let endpoint = try endpoint()
            endpoint.take(subjects)
            let batch = try #require(endpoint.next(now: .at(0), isModest: false)?.batch)
            #expect(!batch.requestID.contains("."))
            names.insert(batch.requestID)
        }
        #expect(names.count == 7)
        #expect(names.contains(EndpointExamples.event(1, subject: "a").id.description))
    }
}

extension Verdict {
    /// An error of the server.
    fileprivate static let unwell = failed(.init(reason: "answered 500", mayBeContent: true))
}

extension Endpoint {
    /// Reads a block of the subjects that the letters name.
    fileprivate func take(_ subjects: String, lane: Int = 0, after: Int64 = 0) {
        for _ in 0..<12 { lengthenReadAhead(lane) }
        read(EndpointExamples.block(subjects, after: after), lane: lane, now: .at(0))
    }

    /// The positions of the batch that goes next.
    fileprivate func send(_ seconds: Double) -> [Int64]? {
        next(now: .at(seconds), isModest: false)?.batch.positions
    }

    /// Ends the request in flight whose batch begins with a position.
    @discardableResult
    fileprivate func end(
        _ first: Int64, _ verdict: Verdict, at seconds: Double, lane: Int = 0,
        status: Int? = nil, answer: [UInt8] = []
    ) -> Consequences {
        let number = lanes.keys.first { number in
            (number == lane || lane == 0)
                && lanes[number]?.inFlight.values.contains { $0.positions[0] == first } == true
        }
        guard let number,
            let batch = lanes[number]?.inFlight.values.first(where: { $0.positions[0] == first })
        else {
            Issue.record("no request in flight begins with \(first)")
            return Consequences()
        }
        return ended(
            number, batch, verdict, sentAt: .at(seconds), now: .at(seconds), status: status,
            answer: answer)
    }

    /// Reads the events of batches once more that may go now.
    fileprivate func reload(_ seconds: Double) {
        for lane in laneOrder {
            while let (batch, _) = positionsToLoad(lane, now: .at(seconds)) {
                load(batch, lane: lane, from: EndpointExamples.hundred)
            }
        }
    }

    /// With all at hand that may go now.
    fileprivate func refilled(_ seconds: Double) -> Endpoint {
        if wantsEvents(0, now: .at(seconds)) {
            read(EndpointExamples.hundred, lane: 0, now: .at(seconds))
        }
        reload(seconds)
        return self
    }

    fileprivate func deliver(_ count: Int, after: Int64 = 0) {
        take(String(repeating: "a", count: count), after: after)
        while let batch = send(1) {
            end(batch[0], .delivered, at: 1)
            take(String(repeating: "a", count: count), after: after)
        }
    }
}
