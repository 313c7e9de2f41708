import Curl
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
    struct Flight {
        let endpoint: Endpoint
        let lane: Int
        let batch: Batch
        let sentAt: Timestamp
        let place: HostSlots.Place
        let byteCount: Int
    }

    struct TestFlight {
        let report: TestReport
        let target: Target
        let answer: @Sendable (TestReport?) -> Void
    }

    let dispatcher: Dispatcher
    let transfers = MultiTransfer(idleTransfersPerTargetMax: 32)
    var endpoints: [String: Endpoint] = [:]
    /// Endpoints that can't be delivered to, and why.
    var unusable: [String: (webhook: Webhook, reason: String)] = [:]
    /// The last change of the log's resources that was taken over.
    var settingsPosition: Int64 = -1
    var flights: [UInt64: Flight] = [:]
    var tests: [UInt64: TestFlight] = [:]
    var nextFlight: UInt64 = 1
    var bodies = BodyCache()
    var hosts = HostSlots()
    /// Where slots have become free that others may wait for.
    var freed: Set<HostSlots.Place> = []
    /// Bytes of the bodies in flight, each counted for every endpoint that gets it.
    var bytesInFlight = 0
    var log: LogWindow
    /// Endpoints that may have something to do.
    var active: [ObjectIdentifier: Endpoint] = [:]
    /// When endpoints may have something to do again.
    var alarms: Heap<Alarm> = []
    var keeper = ProgressKeeper()
    var progress: [LaneProgress]
    var failureCounts: [String: Int]
    var publishedAt = Timestamp(microseconds: 0)
    var isStopping = false
    var isFenced = false

    static let publishInterval = Duration.seconds(1)
    /// How long requests in flight may take when the ledger stops.
    static let stopPatience = Duration.seconds(2)
    static let redeliveriesMax = 1_000
    /// Bytes in flight beyond which requests stay small.
    static let bytesInFlightEnough = 24 << 20

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

    func step() {
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
    func timeout(_ now: Timestamp) -> Duration {
        guard active.isEmpty || isFenced else { return .zero }
        var until = publishedAt + Self.publishInterval
        if let alarm = alarms.min { until = min(until, alarm.at) }
        if !isFenced, let due = keeper.nextTime { until = min(until, due) }
        return max(.zero, until - now)
    }

    // MARK: Messages

    func handle(_ message: Inbox.Message) {
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
            for failure in found where !endpoint.redelivered.contains(failure.position) {
                endpoint.enqueueRedelivery(failure.position)
            }
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
    func taken<Value>(_ result: Result<Value, any Error>, _ what: String) -> Value? {
        switch result {
        case .success(let value): return value
        case .failure(let error):
            dispatcher.logger.error(
                "webhooks", metadata: ["while": "\(what)", "error": "\(error)"])
            return nil
        }
    }

    func activate(_ endpoint: Endpoint) { active[ObjectIdentifier(endpoint)] = endpoint }

    func activateAll() { for endpoint in endpoints.values { activate(endpoint) } }

    // MARK: Status

    func publish(_ now: Timestamp) {
        publishedAt = now
        dispatcher.publish(statuses(now))
    }

    func statuses(_ now: Timestamp) -> [String: EndpointStatus] {
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
struct Alarm: Comparable {
    let at: Timestamp
    let webhook: String

    static func < (left: Alarm, right: Alarm) -> Bool { left.at < right.at }
}
