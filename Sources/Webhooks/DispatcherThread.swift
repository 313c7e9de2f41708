import Curl
import DequeModule
import Domain
import EventLog
import HeapModule
import Logging
import Postgres

/// What the dispatcher's thread does: reads the log for endpoints, sends, keeps what is done.
///
/// Everything here belongs to that one thread. What takes time elsewhere (PostgreSQL, recording an
/// event) is a task that leaves its result in the inbox.
final class DispatcherThread {
    /// A request whose outcome is awaited.
    private struct Flight {
        let endpoint: Endpoint
        let lane: Int
        let batch: Batch
        let sentAt: Timestamp
        let place: HostSlots.Place
        let byteCount: Int
    }

    private struct TestFlight {
        let report: TestReport
        let target: Target
        let answer: @Sendable (TestReport?) -> Void
    }

    private let dispatcher: Dispatcher
    private let transfers = MultiTransfer(idleTransfersPerTargetMax: 32)
    private var endpoints: [String: Endpoint] = [:]
    /// Endpoints that can't be delivered to, and why.
    private var unusable: [String: (webhook: Webhook, reason: String)] = [:]
    /// The last change of the log's resources that was taken over.
    private var settingsPosition: Int64 = -1
    private var flights: [UInt64: Flight] = [:]
    private var tests: [UInt64: TestFlight] = [:]
    private var nextFlight: UInt64 = 1
    private var bodies = BodyCache()
    private var hosts = HostSlots()
    /// Where slots have become free that others may wait for.
    private var freed: Set<HostSlots.Place> = []
    /// Bytes of the bodies in flight, each counted for every endpoint that gets it.
    private var bytesInFlight = 0
    private var log: LogWindow
    /// Endpoints that may have something to do.
    private var active: [String: Endpoint] = [:]
    /// When endpoints may have something to do again.
    private var alarms: Heap<Alarm> = []
    private var keeper = ProgressKeeper()
    private var progress: [LaneProgress]
    private var failureCounts: [String: Int]
    private var publishedAt = Timestamp(microseconds: 0)
    private var isStopping = false
    private var isFenced = false

    private static let publishInterval = Duration.seconds(1)
    /// How long requests in flight may take when the ledger stops.
    private static let stopPatience = Duration.seconds(2)
    private static let redeliveriesMax = 1_000
    /// Bytes in flight beyond which requests stay small.
    private static let bytesInFlightEnough = 64 << 20

    init(_ dispatcher: Dispatcher, progress: [LaneProgress], failures: [String: Int]) {
        self.dispatcher = dispatcher
        self.progress = progress
        failureCounts = failures
        log = LogWindow(dispatcher.reader, dispatcher.inbox, head: dispatcher.log.view.position)
    }

    func run() {
        let waker = transfers.waker
        dispatcher.inbox.onWake { waker.wake() }
        defer { dispatcher.inbox.onWake {} }
        while !isStopping { step() }
        finish()
    }

    private func step() {
        // First, so that whoever asks sees what was committed before.
        updateSettings()
        for message in dispatcher.inbox.take() { handle(message) }
        let now = dispatcher.clock.now()
        log.advance(to: dispatcher.log.view.position, isWanted: !endpoints.isEmpty)
        ring(now)
        pump(now)
        keep(now)
        if now - publishedAt >= Self.publishInterval { publish(now) }
        transfers.run(timeout: timeout(now)) { ended($0, $1) }
    }

    /// Until something may have to be done that nobody wakes this thread for.
    private func timeout(_ now: Timestamp) -> Duration {
        guard active.isEmpty || isFenced else { return .zero }
        var until = publishedAt + Self.publishInterval
        if let alarm = alarms.min { until = min(until, alarm.at) }
        if !isFenced, let due = keeper.nextTime { until = min(until, due) }
        return max(.zero, until - now)
    }

    // MARK: Messages

    private func handle(_ message: Inbox.Message) {
        switch message {
        case .tail(let result):
            guard let block = taken(result, "reading the end of the log") else {
                return log.tailFailed()
            }
            log.appendTail(block)
            activateAll()
        case .history(let request, let result):
            let lanes = log.take(request)
            let block = taken(result, "reading the log")
            if let block { log.remember(block) }
            for (id, lane) in lanes {
                guard let endpoint = endpoints[id] else { continue }
                endpoint.reading.remove(lane)
                let now = dispatcher.clock.now()
                // The endpoint may have gone down since it asked.
                if let block, endpoint.wantsEvents(lane, now: now) {
                    endpoint.read(block, lane: lane, now: now)
                }
                activate(endpoint)
            }
        case .loaded(let id, let lane, let batch, let result):
            guard let endpoint = endpoints[id] else { return }
            endpoint.reading.remove(Self.loading(lane))
            if let block = taken(result, "reading events of a retry") {
                endpoint.load(batch, lane: lane, from: block)
            }
            activate(endpoint)
        case .kept(let result): kept(result)
        case .redeliver(let id): findRedeliveries(id)
        case .requested(let id, let result):
            guard let endpoint = endpoints[id] else { return }
            guard let found = taken(result, "reading failures") else { return findRedeliveries(id) }
            for failure in found { endpoint.enqueueRedelivery(failure.position) }
            endpoint.redeliveriesThrough =
                found.count == Self.redeliveriesMax ? found.last?.position : nil
            activate(endpoint)
        case .recorded(let id, let result):
            _ = taken(result, "recording what became of \(id)")
            // What is recorded is known before the endpoint goes on.
            updateSettings()
            guard let endpoint = endpoints[id] else { return }
            endpoint.isBeingDisabled = false
            endpoint.completing = []
            activate(endpoint)
        case .test(let id, let answer): test(id, answer)
        case .status(let answer): answer(statuses(dispatcher.clock.now()))
        case .stop: isStopping = true
        }
    }

    /// The value of a task; what failed is said, and tried again when it is needed again.
    private func taken<Value>(_ result: Result<Value, any Error>, _ what: String) -> Value? {
        switch result {
        case .success(let value): return value
        case .failure(let error):
            dispatcher.logger.error(
                "webhooks", metadata: ["while": "\(what)", "error": "\(error)"])
            return nil
        }
    }

    private func activate(_ endpoint: Endpoint) { active[endpoint.webhook.id] = endpoint }

    private func activateAll() { active = endpoints }

    // MARK: Settings

    private func updateSettings() {
        let view = dispatcher.log.view
        guard view.changedPosition != settingsPosition else { return }
        let state = view.snapshot.state
        settingsPosition = state.changedPosition
        for webhook in state.webhooks.values {
            if let known = unusable[webhook.id], known.webhook == webhook { continue }
            if let endpoint = endpoints[webhook.id], endpoint.webhook == webhook,
                webhook.settings.filter.lab == nil
            {
                continue
            }
            update(webhook, state)
        }
        for id in endpoints.keys where state.webhooks[id] == nil { remove(id) }
        for id in unusable.keys where state.webhooks[id] == nil { unusable[id] = nil }
        // What is left of endpoints that were removed unseen would be another's of that name.
        let kept = Set(progress.map(\.webhook)).union(failureCounts.keys)
        for id in kept where state.webhooks[id] == nil { remove(id) }
        activateAll()
    }

    private func update(_ webhook: Webhook, _ state: State) {
        let id = webhook.id
        do {
            let form = try EndpointForm(
                webhook, secrets: dispatcher.secrets, source: Dispatcher.source,
                timeout: dispatcher.timeout)
            let matcher = EventMatcher(
                webhook.settings, encoder: form.encoder, experiments: state.experiments)
            unusable[id] = nil
            if let known = endpoints[id],
                known.webhook.createdPosition == webhook.createdPosition
            {
                known.update(webhook, form: form, matcher: matcher)
                for replay in webhook.replays where replay.status != .running {
                    keeper.forget(id, lane: replay.number)
                }
            } else {
                if endpoints[id] != nil { remove(id) }
                add(Endpoint(webhook, form: form, matcher: matcher, progress: taking(webhook)))
            }
        } catch {
            if let known = endpoints[id] { putBy(known) }
            unusable[id] = (webhook, "\(error)")
            dispatcher.logger.error(
                "webhook can't be delivered to",
                metadata: ["webhook": "\(id)", "error": "\(error)"])
        }
    }

    private func add(_ endpoint: Endpoint) {
        let id = endpoint.webhook.id
        endpoint.setAsideCount = failureCounts.removeValue(forKey: id) ?? 0
        endpoints[id] = endpoint
        if endpoint.setAsideCount > 0 { findRedeliveries(id) }
    }

    /// What was kept of an endpoint's progress before it was delivered to in this process.
    private func taking(_ webhook: Webhook) -> [LaneProgress] {
        let found = progress.filter { $0.webhook == webhook.id }
        // It may be all that is left of another endpoint of that name.
        guard found.allSatisfy({ $0.createdPosition == webhook.createdPosition }) else {
            remove(webhook.id)
            return []
        }
        progress.removeAll { $0.webhook == webhook.id }
        return found
    }

    /// Keeps in mind where an endpoint stands that can't be delivered to for now.
    private func putBy(_ endpoint: Endpoint) {
        let id = endpoint.webhook.id
        progress += endpoint.progress
        failureCounts[id] = endpoint.setAsideCount
        endpoints[id] = nil
        active[id] = nil
    }

    private func remove(_ id: String) {
        endpoints[id] = nil
        active[id] = nil
        progress.removeAll { $0.webhook == id }
        failureCounts[id] = nil
        keeper.forget(id, lane: nil)
    }

    // MARK: Reading

    private func feed(_ endpoint: Endpoint, _ now: Timestamp) {
        for lane in endpoint.laneOrder {
            while endpoint.wantsEvents(lane, now: now), !endpoint.reading.contains(lane),
                let position = endpoint.lanes[lane]?.readThrough,
                !log.isOnItsWay(after: position)
            {
                if endpoint.lanes[lane]?.pendingCount == 0 { endpoint.lengthenReadAhead(lane) }
                guard let block = log.block(after: position) else {
                    endpoint.reading.insert(lane)
                    log.request(
                        after: position, count: endpoint.readAhead(lane),
                        for: (endpoint.webhook.id, lane))
                    break
                }
                endpoint.read(block, lane: lane, now: now)
            }
        }
    }

    /// The number under which the loading of a lane's batch is noted.
    private static func loading(_ lane: Int) -> Int { -2 - lane }

    private func loadRetries(_ endpoint: Endpoint, _ now: Timestamp) {
        for lane in endpoint.laneOrder where !endpoint.reading.contains(Self.loading(lane)) {
            guard let (batch, positions) = endpoint.positionsToLoad(lane, now: now) else {
                continue
            }
            endpoint.reading.insert(Self.loading(lane))
            let (reader, inbox, id) = (dispatcher.reader, dispatcher.inbox, endpoint.webhook.id)
            inbox.post(
                from: { try await reader.read(positions) },
                as: { .loaded(webhook: id, lane: lane, batch: batch, $0) })
        }
    }

    private func findRedeliveries(_ id: String, after position: Int64 = 0) {
        let (store, inbox) = (dispatcher.store, dispatcher.inbox)
        inbox.post(
            from: {
                try await store.requested(of: id, after: position, limit: Self.redeliveriesMax)
            },
            as: { .requested(webhook: id, $0) })
    }

    // MARK: Sending

    private func ring(_ now: Timestamp) {
        while let alarm = alarms.min, alarm.at <= now {
            alarms.removeMin()
            guard let endpoint = endpoints[alarm.webhook] else { continue }
            if endpoint.alarmAt == alarm.at { endpoint.alarmAt = nil }
            activate(endpoint)
        }
    }

    /// Has an endpoint looked at when its time comes; one alarm does, however often that is asked.
    private func setAlarm(_ endpoint: Endpoint, _ now: Timestamp) {
        guard let at = endpoint.nextTime(after: now), endpoint.alarmAt.map({ at < $0 }) ?? true
        else { return }
        endpoint.alarmAt = at
        alarms.insert(Alarm(at: at, webhook: endpoint.webhook.id))
    }

    private func pump(_ now: Timestamp) {
        guard !active.isEmpty || !freed.isEmpty, !isFenced else { return }
        // Who stands in line goes before those whose requests have just ended.
        var waiting = Deque(freed.compactMap { hosts.hasRoom($0) ? nextInLine($0) : nil })
        freed = []
        waiting.append(contentsOf: active.values)
        active = [:]
        while let endpoint = waiting.popFirst() {
            feed(endpoint, now)
            if let next = sendAll(endpoint, now) { waiting.prepend(next) }
            loadRetries(endpoint, now)
            setAlarm(endpoint, now)
            keeper.note(endpoint)
            for replay in endpoint.completedReplays { complete(replay, endpoint) }
        }
    }

    /// Sends what an endpoint may be sent now.
    ///
    /// - Returns: the endpoint whose turn it is at the same host, as long as there is room.
    private func sendAll(_ endpoint: Endpoint, _ now: Timestamp) -> Endpoint? {
        let place = endpoint.place
        while hosts.hasRoom(place) {
            let isModest = bytesInFlight > Self.bytesInFlightEnough
            guard let (lane, batch) = endpoint.next(now: now, isModest: isModest) else {
                return nextInLine(place)
            }
            send(endpoint, lane, batch, now)
            feed(endpoint, now)
            if hosts.isCrowded(place) { break }
        }
        if endpoint.hasWork { hosts.wait(place, endpoint.webhook.id) }
        return hosts.hasRoom(place) ? nextInLine(place) : nil
    }

    /// The endpoint whose turn it is: one that has no use for it any more does not take it along.
    private func nextInLine(_ place: HostSlots.Place) -> Endpoint? {
        while let endpoint = hosts.next(place).map({ endpoints[$0] }) {
            guard let endpoint else { continue }
            if endpoint.place == place { return endpoint }
            activate(endpoint)
        }
        return nil
    }

    private func send(_ endpoint: Endpoint, _ lane: Int, _ batch: Batch, _ now: Timestamp) {
        do {
            let body = try encode(batch, endpoint.form)
            let request = try SignedRequest(id: batch.requestID, body, endpoint.form, now)
            let flight = nextFlight
            nextFlight += 1
            flights[flight] = Flight(
                endpoint: endpoint, lane: lane, batch: batch, sentAt: now, place: endpoint.place,
                byteCount: body.sent.count)
            hosts.take(endpoint.place)
            bytesInFlight += body.sent.count
            transfers.start(
                endpoint.target, url: request.url, headers: request.headers, body: body.sent,
                id: flight)
        } catch {
            let consequences = endpoint.refuseUnsent(lane, batch, "\(error)", now: now)
            act(consequences, endpoint)
        }
    }

    private func encode(_ batch: Batch, _ form: EndpointForm) throws -> EncodedBody {
        guard endpoints.count > 1 else { return try form.body(of: batch) }
        let key = BodyCache.Key(form: form.bodyForm, positions: batch.positions)
        if let known = bodies[key] { return known }
        let body = try form.body(of: batch)
        bodies.insert(body, for: key)
        return body
    }

    private func ended(_ id: UInt64, _ outcome: Outcome) {
        if let test = tests.removeValue(forKey: id) {
            return test.answer(test.report.completed(outcome))
        }
        guard let flight = flights.removeValue(forKey: id) else { return }
        let endpoint = flight.endpoint
        let now = dispatcher.clock.now()
        bytesInFlight -= flight.byteCount
        hosts.give(back: flight.place)
        freed.insert(flight.place)
        endpoint.counts.note(outcome)
        let consequences = endpoint.ended(
            flight.lane, flight.batch, Verdict(outcome, now: now), sentAt: flight.sentAt,
            now: now, status: outcome.status == 0 ? nil : outcome.status,
            answer: outcome.bodyStart)
        guard endpoints[endpoint.webhook.id] === endpoint else { return }
        act(consequences, endpoint)
        activate(endpoint)
        if flight.lane == Endpoint.redeliveries, let through = endpoint.redeliveriesThrough,
            endpoint.lanes[flight.lane]?.frozen.isEmpty ?? true
        {
            endpoint.redeliveriesThrough = nil
            findRedeliveries(endpoint.webhook.id, after: through)
        }
    }

    private func act(_ consequences: Endpoint.Consequences, _ endpoint: Endpoint) {
        let id = endpoint.webhook.id
        if let setAside = consequences.setAside { keeper.setAside(setAside, endpoint) }
        if let position = consequences.redelivered {
            endpoint.setAsideCount -= 1
            keeper.redelivered(id, position)
        }
        if let reason = consequences.disableReason, !endpoint.isBeingDisabled {
            endpoint.isBeingDisabled = true
            record(.disable(reason: reason), id)
        }
        // Where an outage began has to survive a restart.
        if endpoint.health.isDown { keeper.note(endpoint, isUrgent: true) }
    }

    private func complete(_ replay: Int, _ endpoint: Endpoint) {
        guard endpoint.completing.insert(replay).inserted else { return }
        record(.completeReplay(replay), endpoint.webhook.id)
    }

    /// Records what became of an endpoint; a failure is said, and the next reason tries again.
    private func record(_ command: WebhookCommand, _ id: String) {
        let sequencer = dispatcher.log.sequencer
        dispatcher.inbox.post(
            from: {
                _ = try await sequencer.submit(
                    .webhook(id, command), CommandContext(actor: Dispatcher.actor))
            },
            as: { .recorded(webhook: id, $0) })
    }

    // MARK: Tests

    private func test(_ id: String, _ answer: @escaping @Sendable (TestReport?) -> Void) {
        guard let endpoint = endpoints[id] else {
            return answer(unusable[id].map { TestReport(error: $0.reason) })
        }
        do {
            let now = dispatcher.clock.now()
            let (sample, body) = try endpoint.form.sample(for: id, at: now)
            let request = try SignedRequest(id: sample, body, endpoint.form, now)
            let target = endpoint.form.testTarget
            tests[nextFlight] = TestFlight(
                report: TestReport(endpoint.form, request, body), target: target, answer: answer)
            transfers.start(
                target, url: request.url, headers: request.headers, body: body.sent,
                id: nextFlight)
            nextFlight += 1
        } catch { answer(TestReport(error: "\(error)")) }
    }

    // MARK: Keeping

    private func keep(_ now: Timestamp) {
        guard !isFenced, let changes = keeper.due(now) else { return }
        let (store, inbox, epoch) = (dispatcher.store, dispatcher.inbox, dispatcher.log.epoch)
        inbox.post(
            from: { try await store.write(changes, epoch: epoch) }, as: { .kept($0) })
    }

    private func kept(_ result: Result<Void, any Error>) {
        switch result {
        case .success: keeper.succeeded()
        case .failure(let error):
            if error is FencedError { isFenced = true }
            keeper.failed(dispatcher.clock.now())
            dispatcher.logger.error(
                "webhooks", metadata: ["while": "keeping progress", "error": "\(error)"])
        }
        activateAll()
    }

    /// Ends: gives requests in flight a moment, and keeps what is done.
    private func finish() {
        let deadline = ContinuousClock.now + Self.stopPatience
        while !flights.isEmpty, ContinuousClock.now < deadline {
            transfers.run(timeout: deadline - ContinuousClock.now) { ended($0, $1) }
        }
        for test in tests.values { test.answer(nil) }
        dispatcher.inbox.close()
        guard !isFenced else { return }
        // A write that is under way is older than this one, and the connection does one at a time.
        let changes = keeper.everything(endpoints.values)
        let (store, epoch) = (dispatcher.store, dispatcher.log.epoch)
        let done = Signal()
        let logger = dispatcher.logger
        Task {
            do { try await store.write(changes, epoch: epoch) } catch {
                logger.error(
                    "webhooks", metadata: ["while": "keeping progress", "error": "\(error)"])
            }
            done.wake()
        }
        done.wait(timeout: nil)
    }

    // MARK: Status

    private func publish(_ now: Timestamp) {
        publishedAt = now
        dispatcher.publish(statuses(now))
    }

    private func statuses(_ now: Timestamp) -> [String: EndpointStatus] {
        var statuses = endpoints.mapValues { endpoint in
            endpoint.status(head: log.head, now: now)
        }
        for (id, broken) in unusable {
            var status = EndpointStatus()
            status.state = "unusable"
            status.reason = broken.reason
            statuses[id] = status
        }
        return statuses
    }
}

/// When an endpoint may have something to do.
private struct Alarm: Comparable {
    let at: Timestamp
    let webhook: String

    static func < (left: Alarm, right: Alarm) -> Bool { left.at < right.at }
}

extension Inbox {
    /// Does something elsewhere and leaves its result as a message.
    func post<Value: Sendable>(
        from work: @escaping @Sendable () async throws -> Value,
        as message: @escaping @Sendable (Result<Value, any Error>) -> Message
    ) {
        Task {
            let result: Result<Value, any Error>
            do { result = .success(try await work()) } catch {
                result = .failure(error)
                // Whoever needs it tries again: not at once.
                try? await Task.sleep(for: .milliseconds(500))
            }
            post(message(result))
        }
    }
}
