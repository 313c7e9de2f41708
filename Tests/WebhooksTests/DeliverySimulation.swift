import EventLog
import SeededRandomness
import Testing

@testable import Curl
@testable import Domain
@testable import Webhooks

/// One endpoint over a log, driven as the dispatcher drives it, by a clock of its own and against a
/// receiver that does what the random numbers say. No thread and no socket takes part.
///
/// It checks with each request that the lane's promise holds, and in the end that everything has
/// arrived.
final class DeliverySimulation {
    /// What a request may come to.
    enum Fate {
        case delivered, lostAnswer, timedOut, unreachable, unavailable, tooMany, broken
    }

    struct Flight {
        let endsAt: Timestamp
        let lane: Int
        let batch: Batch
        let sentAt: Timestamp
        let outcome: Outcome
    }

    /// What a lane has done since the process started, as the simulation sees it.
    struct LaneRecord {
        /// What needs no more attention, by what was kept and what came back.
        var settled: Set<Int64> = []
        /// The requests of batches, by the batches' numbers.
        var requests: [Int: (positions: [Int64], id: String)] = [:]
        /// What is left of the events that have to keep their order among each other.
        var left: [String: ArraySlice<Int64>]
    }

    var generator: SeededGenerator
    let mode: DeliveryMode
    var webhook: Webhook
    var endpoint: Endpoint
    var now = Timestamp.at(0)
    let events: [StoredEvent]
    /// Positions that the endpoint is to get.
    let selected: [Int64]
    /// Refused whenever a request contains them.
    let poison: Set<Int64>
    /// Answered with an error of the server, the same.
    let crashing: Set<Int64>
    var isMended = false
    /// Up to where the log has grown.
    var head: Int64
    var flights: [Flight] = []
    var isDown = false
    var isCalm = false

    var lanes: [Int: LaneRecord] = [:]
    var arrived: Set<Int64> = []
    /// The same without replays, and in the order in which they came first.
    var delivered: Set<Int64> = []
    var firstArrivals: [Int64] = []
    /// Those of lane 0 whose acknowledgement the endpoint saw, in whichever process.
    var acknowledged: Set<Int64> = []
    var setAside: Set<Int64> = []
    /// What the database holds.
    var kept: [LaneProgress] = []
    var requestCount = 0

    init(seed: UInt64?, mode: DeliveryMode) throws {
        var generator = seed.map { SeededGenerator(seed: $0) } ?? SeededGenerator()
        self.mode = mode
        let count = Int64.random(in: 40...400, using: &generator)
        let keys = Int.random(in: 1...6, using: &generator)
        var events: [StoredEvent] = []
        for position in 1...count {
            let key = Int.random(in: 0..<keys, using: &generator)
            let type =
                ["AssignmentMade", "ScoreRecorded", "LabCreated"]
                .randomElement(using: &generator) ?? ""
            events.append(
                EndpointExamples.event(
                    position, subject: "s\(key)", type: type,
                    bytes: Int.random(in: 0...600, using: &generator)))
        }
        self.events = events
        let batchMax = [1, 2, 5, 100].randomElement(using: &generator)
        let limit = [nil, nil, 20.0, 500.0].randomElement(using: &generator) ?? nil
        webhook = try EndpointExamples.webhook(mode) { settings in
            settings.events = ["AssignmentMade", "Score*"]
            settings.batchCountMax = batchMax
            settings.rateLimit = limit
            settings.batchBytesMax = 4_000
        }
        endpoint = try EndpointExamples.endpoint(webhook)
        selected = events.filter { $0.type != "LabCreated" }.map(\.position)
        poison = Set(selected.filter { _ in Int.random(in: 0..<40, using: &generator) == 0 })
        crashing =
            mode == .strict
            ? [] : Set(selected.filter { _ in Int.random(in: 0..<150, using: &generator) == 0 })
        head = min(count, Int64.random(in: 0...count, using: &generator))
        self.generator = generator
    }

    private func chance(_ one: Int) -> Bool { Int.random(in: 0..<one, using: &generator) == 0 }

    // MARK: Running

    /// Lets all kinds of things happen, and then nothing bad any more until all is settled.
    func run() throws {
        for _ in 0..<1_000 {
            if head < events.last?.position ?? 0, chance(4) {
                head = min(head + Int64.random(in: 1...30, using: &generator), Int64(events.count))
            }
            try disturb()
            try pump()
            advance()
        }
        head = Int64(events.count)
        isCalm = true
        isDown = false
        try pause(true)
        try pause(false)
        var steps = 0
        while !isDone, steps < 20_000 {
            try pump()
            guard !isDone else { break }
            if flights.isEmpty, nextTime == nil {
                Issue.record("nothing wakes the endpoint again")
                return
            }
            advance()
            steps += 1
            // What nothing follows is never found to be the cause.
            if endpoint.health.failures > 5 { isMended = true }
        }
        try pump()
        checkEnd()
    }

    private var isDone: Bool {
        flights.isEmpty && endpoint.lanes[0]?.done.through == head
            && endpoint.lanes.allSatisfy { $0.key <= 0 || $0.value.isComplete }
    }

    private var nextTime: Timestamp? { endpoint.nextTime(after: now) }

    /// To the next answer, or to the moment for which the endpoint wants to be woken.
    private func advance() {
        let next = flights.map(\.endsAt).min()
        if let next, nextTime.map({ next <= $0 }) ?? true {
            now = max(now, next)
            while let index = flights.firstIndex(where: { $0.endsAt <= now }) {
                end(flights.remove(at: index))
            }
        } else if let wake = nextTime {
            now = wake
        } else {
            now = now + .milliseconds(50)
        }
    }

    private func disturb() throws {
        if endpoint.isBeingDisabled {
            webhook.status = .disabled(reason: "")
            try update()
        }
        switch Int.random(in: 0..<400, using: &generator) {
        case 0: try restart()
        case 1..<8: isDown.toggle()
        case 8..<12: try changeSettings()
        case 12..<14: try pause(webhook.isActive)
        case 14..<17: try replay()
        case 17..<60: keep()
        default: break
        }
        if isDown, chance(20) { isDown = false }
        if !webhook.isActive, chance(10) { try pause(false) }
    }

    // MARK: What the dispatcher's thread does

    private func pump() throws {
        feed()
        var count = 0
        while let (lane, batch) = endpoint.next(now: now, isModest: false) {
            send(lane, batch)
            feed()
            count += 1
            try #require(count < 10_000, "requests without an end")
        }
        for lane in endpoint.laneOrder {
            guard let (number, positions) = endpoint.positionsToLoad(lane, now: now),
                isCalm || !chance(5)
            else { continue }
            let found = positions.map { events[Int($0) - 1] }
            endpoint.load(
                number, lane: lane,
                from: LogBlock(
                    after: positions[0] - 1, through: positions[positions.count - 1],
                    events: found))
            try pump()
        }
        for number in endpoint.completedReplays {
            webhook.replays[number - 1].status = .completed
            try update()
        }
    }

    private func feed() {
        for lane in endpoint.laneOrder {
            while endpoint.wantsEvents(lane, now: now),
                let after = endpoint.lanes[lane]?.readThrough,
                after < head
            {
                if endpoint.lanes[lane]?.pendingCount == 0 { endpoint.lengthenReadAhead(lane) }
                let count = Int64.random(in: 1...60, using: &generator)
                // A block may begin before what is asked for.
                let first = max(0, after - Int64.random(in: 0...3, using: &generator))
                let through = min(head, after + count)
                let block = LogBlock(
                    after: first, through: through, events: events[Int(first)..<Int(through)])
                endpoint.read(block, lane: lane, now: now)
                #expect((endpoint.lanes[lane]?.readThrough ?? 0) > after)
                #expect(
                    (endpoint.lanes[lane]?.pendingCount ?? 0) <= max(16, endpoint.readAhead(lane)))
            }
        }
    }

    private func send(_ lane: Int, _ batch: Batch) {
        check(lane, batch)
        requestCount += 1
        do {
            let body = try endpoint.form.body(of: batch)
            #expect(body.plain.split(separator: UInt8(ascii: "\n")).count == batch.positions.count)
        } catch {
            note(endpoint.refuseUnsent(lane, batch, "\(error)", now: now), lane, batch, false)
            return
        }
        let (outcome, arrives) = outcome(of: batch)
        if arrives {
            arrived.formUnion(batch.positions)
            for position in batch.positions where lane == 0 && delivered.insert(position).inserted {
                firstArrivals.append(position)
            }
        }
        let delay = Duration.milliseconds(Int.random(in: 1...400, using: &generator))
        flights.append(
            Flight(
                endsAt: now + delay, lane: lane, batch: batch, sentAt: now, outcome: outcome))
    }

    private func end(_ flight: Flight) {
        let verdict = Verdict(flight.outcome, now: now)
        let consequences = endpoint.ended(
            flight.lane, flight.batch, verdict, sentAt: flight.sentAt, now: now,
            status: flight.outcome.status, answer: [])
        note(consequences, flight.lane, flight.batch, verdict == .delivered)
    }

    private func note(
        _ consequences: Endpoint.Consequences, _ lane: Int, _ batch: Batch, _ isDelivered: Bool
    ) {
        if consequences.disableReason != nil {
            let since = endpoint.health.failingSince ?? now
            #expect(now - since >= Health.failingMax)
            endpoint.isBeingDisabled = true
        }
        var settled = isDelivered ? batch.positions : []
        if let event = consequences.setAside {
            #expect(poison.contains(event.position) || crashing.contains(event.position))
            settled.append(event.position)
            if lane == 0 { setAside.insert(event.position) }
        }
        if isDelivered, lane == 0 { acknowledged.formUnion(batch.positions) }
        lanes[lane]?.settled.formUnion(settled)
    }

    // MARK: The receiver

    private func outcome(of batch: Batch) -> (Outcome, arrives: Bool) {
        var outcome = Outcome()
        if isDown {
            outcome.error = CurlError(kind: .couldNotConnect, description: "down")
            return (outcome, false)
        }
        if !poison.isDisjoint(with: batch.positions) {
            outcome.status = [400, 409, 413, 415, 422].randomElement(using: &generator) ?? 400
            return (outcome, false)
        }
        if !isMended, !crashing.isDisjoint(with: batch.positions) {
            outcome.status = 500
            return (outcome, false)
        }
        outcome.status = 200
        guard !isCalm, chance(12) else { return (outcome, true) }
        switch Int.random(in: 0..<5, using: &generator) {
        case 0:
            outcome.status = 429
            outcome.retryAfter = "1"
            return (outcome, false)
        case 1:
            outcome.status = 503
            outcome.retryAfter = "\(Int.random(in: 0...3, using: &generator))"
            return (outcome, false)
        case 2:
            outcome = Outcome(error: CurlError(kind: .timedOut, description: "slow"))
            return (outcome, true)
        case 3:
            outcome = Outcome(error: CurlError(kind: .timedOut, description: "slow"))
            return (outcome, false)
        default:
            outcome = Outcome(error: CurlError(kind: .broken, description: "broken"))
            return (outcome, Bool.random(using: &generator))
        }
    }

    // MARK: Disturbances

    /// Everything since progress was last kept is forgotten, and what is in flight goes unheard.
    private func restart() throws {
        flights = []
        endpoint = try EndpointExamples.endpoint(webhook, progress: kept)
        lanes = [:]
        for progress in kept {
            lanes[progress.lane] = LaneRecord(
                settled: Set(selected.filter { progress.done.contains($0) }),
                left: queues(progress.lane))
        }
    }

    private func keep() {
        let progress = endpoint.takeProgress()
        checkDone(progress)
        guard !chance(8) else { return endpoint.progressWasNotKept(now) }
        endpoint.progressWasKept()
        kept = progress.map { row in
            var row = row
            row.done =
                PositionRanges(through: row.done.through, text: row.done.text(rangesMax: 256))
                ?? row.done
            return row
        }
    }

    private func changeSettings() throws {
        webhook.settings.batchCountMax = [1, 3, 10, 100].randomElement(using: &generator)
        webhook.settings.rateLimit = [nil, 50.0, 1_000.0].randomElement(using: &generator) ?? nil
        try update()
    }

    private func pause(_ isPaused: Bool) throws {
        webhook.status = isPaused ? .paused : .active
        try update()
    }

    private func replay() throws {
        guard head > 1, !webhook.replays.contains(where: { $0.status == .running }) else { return }
        let from = Int64.random(in: 1...head, using: &generator)
        let through = Int64.random(in: from...head, using: &generator)
        webhook.replays.append(
            WebhookReplay(
                number: webhook.replays.count + 1, from: from, through: through,
                rateLimit: Bool.random(using: &generator) ? 30 : nil, requestedAt: now))
        try update()
    }

    private func update() throws {
        endpoint.update(
            webhook, form: try EndpointExamples.form(webhook),
            matcher: try EndpointExamples.matcher(webhook))
    }

    // MARK: Checks

    /// Whether a request may be sent, by what is known to be settled.
    private func check(_ lane: Int, _ batch: Batch) {
        var record = lanes[lane] ?? LaneRecord(left: queues(lane))
        let events = batch.events.map(\.position)
        #expect(events == batch.positions)
        #expect(batch.positions == batch.positions.sorted())
        if let earlier = record.requests[batch.number] {
            #expect(earlier.positions == batch.positions && earlier.id == batch.requestID)
        }
        record.requests[batch.number] = (batch.positions, batch.requestID)
        for position in batch.positions {
            let queue = queue(position)
            while let first = record.left[queue]?.first, record.settled.contains(first) {
                record.left[queue]?.removeFirst()
            }
            let isNew = !record.settled.contains(position)
            #expect(isNew, "\(position) was sent though it needs no more attention")
            let isInOrder = (record.left[queue] ?? []).allSatisfy {
                $0 >= position || batch.positions.contains($0)
            }
            #expect(isInOrder, "\(position) was sent before one that it has to follow")
        }
        lanes[lane] = record
    }

    /// Names the events that have to keep their order among each other.
    private func queue(_ position: Int64) -> String {
        switch mode {
        case .parallel: "\(position)"
        case .strict: ""
        case .orderedByKey: events[Int(position) - 1].stream
        }
    }

    private func queues(_ lane: Int) -> [String: ArraySlice<Int64>] {
        let start = lane == 0 ? webhook.start : webhook.replays[lane - 1].from
        return Dictionary(grouping: selected.filter { $0 >= start }, by: queue)
            .mapValues { $0[...] }
    }

    /// Nothing counts as done that was neither delivered nor set aside.
    private func checkDone(_ progress: [LaneProgress]) {
        guard let main = progress.first(where: { $0.lane == 0 }) else { return }
        for position in selected where main.done.contains(position) {
            #expect(acknowledged.contains(position) || setAside.contains(position))
        }
        #expect(main.done.through <= head)
    }

    private func checkEnd() {
        #expect(isDone, "not everything is settled")
        checkDone(endpoint.takeProgress())
        for position in selected {
            let isPoison = poison.contains(position)
            #expect(arrived.contains(position) == !isPoison || setAside.contains(position))
            #expect(setAside.contains(position) || !isPoison)
        }
        #expect(endpoint.requestsInFlight == 0)
        #expect(endpoint.eventsInFlight == 0)
        #expect(endpoint.lanes.allSatisfy { $0.value.pendingCount == 0 })
        for positions in Dictionary(grouping: firstArrivals, by: queue).values {
            #expect(positions == positions.sorted())
        }
    }
}

@Suite struct RandomDeliveryTests {
    @Test(arguments: DeliveryMode.allCases)
    func whateverHappensEachEventArrivesInOrderOrIsSetAside(mode: DeliveryMode) throws {
        var seeds = SeededGenerator()
        for _ in 0..<12 {
            let seed = seeds.next()
            try DeliverySimulation(seed: seed, mode: mode).run()
        }
    }
}
