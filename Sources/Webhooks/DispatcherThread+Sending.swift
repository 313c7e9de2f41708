import Curl
import DequeModule
import Domain
import EventLog

/// Sending what may be sent, and settling what came of it.
extension DispatcherThread {
    func ring(_ now: Timestamp) {
        while let alarm = alarms.min, alarm.at <= now {
            alarms.removeMin()
            guard let endpoint = endpoints[alarm.webhook] else { continue }
            if endpoint.alarmAt == alarm.at { endpoint.alarmAt = nil }
            activate(endpoint)
        }
    }

    /// Has an endpoint looked at when its time comes; one alarm does, however often that is asked.
    func setAlarm(_ endpoint: Endpoint, _ now: Timestamp) {
        guard let at = endpoint.nextTime(after: now), endpoint.alarmAt.map({ at < $0 }) ?? true
        else { return }
        endpoint.alarmAt = at
        alarms.insert(Alarm(at: at, webhook: endpoint.id))
    }

    func pump(_ now: Timestamp) {
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
    func sendAll(_ endpoint: Endpoint, _ now: Timestamp) -> Endpoint? {
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
        if endpoint.hasWork { hosts.wait(place, endpoint.id) }
        return hosts.hasRoom(place) ? nextInLine(place) : nil
    }

    /// The endpoint whose turn it is: one that has no use for it any more does not take it along.
    func nextInLine(_ place: HostSlots.Place) -> Endpoint? {
        while let endpoint = hosts.next(place).map({ endpoints[$0] }) {
            guard let endpoint else { continue }
            if endpoint.place == place { return endpoint }
            activate(endpoint)
        }
        return nil
    }

    func send(_ endpoint: Endpoint, _ lane: Int, _ batch: Batch, _ now: Timestamp) {
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

    func encode(_ batch: Batch, _ form: EndpointForm) throws -> EncodedBody {
        guard endpoints.count > 1 else { return try form.body(of: batch) }
        let key = BodyCache.Key(form: form.bodyForm, positions: batch.positions)
        if let known = bodies[key] { return known }
        let body = try form.body(of: batch)
        bodies.insert(body, for: key)
        return body
    }

    func ended(_ id: UInt64, _ outcome: Outcome) {
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
        guard endpoints[endpoint.id] === endpoint else { return }
        act(consequences, endpoint)
        activate(endpoint)
        if flight.lane == Endpoint.redeliveries, let through = endpoint.redeliveriesThrough,
            endpoint.lanes[flight.lane]?.frozen.isEmpty ?? true
        {
            endpoint.redeliveriesThrough = nil
            findRedeliveries(endpoint.id, after: through)
        }
    }

    func act(_ consequences: Endpoint.Consequences, _ endpoint: Endpoint) {
        let id = endpoint.id
        if let setAside = consequences.setAside { keeper.setAside(setAside, endpoint) }
        if let position = consequences.redelivered {
            endpoint.setAsideCount -= 1
            endpoint.redelivered.insert(position)
            keeper.redelivered(id, position)
        }
        if let reason = consequences.disableReason, !endpoint.isBeingDisabled {
            endpoint.isBeingDisabled = true
            record(.disable(reason: reason), id)
        }
        // Where an outage began has to survive a restart.
        if endpoint.health.isDown { keeper.note(endpoint, isUrgent: true) }
    }

    func complete(_ replay: Int, _ endpoint: Endpoint) {
        guard endpoint.completing.insert(replay).inserted else { return }
        record(.completeReplay(replay), endpoint.id)
    }

    /// Records what became of an endpoint; a failure is said, and the next reason tries again.
    func record(_ command: WebhookCommand, _ id: String) {
        let sequencer = dispatcher.log.sequencer
        dispatcher.inbox.post(
            from: {
                _ = try await sequencer.submit(
                    .webhook(id, command), CommandContext(actor: Dispatcher.actor))
            },
            as: { .recorded(webhook: id, $0) })
    }

    // MARK: Samples

    func test(_ id: String, _ answer: @escaping @Sendable (TestReport?) -> Void) {
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
}
