import Curl
import Domain

/// One endpoint with its lanes through the log; belongs to the dispatcher's thread.
final class Endpoint {
    let id: String
    private(set) var webhook: Webhook {
        didSet {
            isActive = webhook.isActive
            mode = webhook.settings.mode
        }
    }
    // Read for each request, where taking them out of the whole would copy it.
    private var isActive: Bool
    private var mode: DeliveryMode
    private(set) var form: EndpointForm
    private(set) var target: Target
    private(set) var matcher: EventMatcher
    var health: Health
    /// By number: 0 for the deliveries themselves, replays by theirs, and ``redeliveries``.
    private(set) var lanes: [Int: Lane] = [:] {
        didSet { if lanes.count != laneOrder.count { laneOrder = Self.order(lanes) } }
    }
    /// The lanes in the order in which they may send: news first, then what was asked for.
    private(set) var laneOrder: [Int] = []
    private var rateLimits: [Int: RateLimit] = [:]
    /// Events at hand that each lane aims for.
    private var readAhead: [Int: Int] = [:]
    /// Lanes for which the log is being read.
    var reading: Set<Int> = []
    private(set) var requestsInFlight = 0
    private(set) var eventsInFlight = 0
    var counts = DeliveryCounts()
    var setAsideCount = 0
    /// Events settled since progress was last taken to be kept.
    private(set) var unkept = 0
    /// Events settled before, whose progress is being kept.
    private var beingKept = 0
    /// Events that were delivered once more, and whose rows may still be there.
    var redelivered: Set<Int64> = []
    /// Replays whose end is being recorded.
    var completing: Set<Int> = []
    /// Since when there is progress to keep; nil where there is none.
    private(set) var unkeptSince: Timestamp?
    /// Up to where everything was settled when progress was last kept.
    private var keptThrough: Int64
    /// Up to where events to be delivered once more are in memory; nil where all of them are.
    var redeliveriesThrough: Int64?
    /// Whether the log has been asked to record that the endpoint is disabled.
    var isBeingDisabled = false
    /// Events set aside in a row, with no success between.
    private var setAsideInRow = 0
    /// Whether the last answer was a good one.
    private(set) var isProven = false
    /// Requests until the lanes of what was asked for go before the news.
    private var newsLeft = newsInRow
    /// When the endpoint is to be looked at again; nil where nobody was asked to.
    var alarmAt: Timestamp?

    static let deliveries = 0
    /// The lane of events that had been set aside.
    static let redeliveries = -1

    /// Events passed over after which progress is kept though nothing was delivered.
    private static let passedMax: Int64 = 10_000
    private static let readAheadFirst = 64
    private static let readAheadDown = 16
    /// Bytes of a request to an endpoint that has not answered well yet, and of any request while
    /// there is much in flight.
    private static let modestBytesMax = 64 << 10
    /// Events that are settled and not kept, beyond which deliveries wait: what a crash repeats.
    static let unkeptMax = 20_000
    /// Requests of the news for each one that was asked for, while there are both.
    private static let newsInRow = 7
    /// Attempts that failed, each after the endpoint had taken others, beyond which a batch is to
    /// blame…
    private static let refusalsMax = 3
    /// …if it has been failing for so long.
    private static let refusalTimeMin = Duration.seconds(60)
    /// Failed attempts after which a batch is tried in halves, and then these in theirs.
    private static let attemptsWhole = 2
    /// Events set aside in a row after which the endpoint is to blame.
    private static let setAsideInRowMax = 10

    init(
        _ webhook: Webhook, form: EndpointForm, matcher: EventMatcher, progress: [LaneProgress]
    ) {
        id = webhook.id
        self.webhook = webhook
        isActive = webhook.isActive
        mode = webhook.settings.mode
        self.form = form
        self.matcher = matcher
        target = Target(form.options, permits: form.permits)
        health = Health(concurrencyMax: form.concurrencyMax)
        let own = progress.filter { $0.createdPosition == webhook.createdPosition }
        let main = own.first { $0.lane == Self.deliveries }
        keptThrough = main?.done.through ?? 0
        if let main {
            health.restore(
                failures: main.failures, failingSince: main.failingSince, retryAt: main.retryAt)
        }
        lanes[Self.deliveries] = Lane(
            mode: webhook.settings.mode,
            done: main?.done ?? PositionRanges(through: webhook.start - 1))
        lanes[Self.redeliveries] = Lane(
            mode: .parallel, done: PositionRanges(through: 0), end: 0)
        rateLimits[Self.deliveries] = RateLimit(perSecond: webhook.settings.rateLimit)
        updateReplays(progress: own)
        // Observers do not see what an initializer sets.
        laneOrder = Self.order(lanes)
    }

    // MARK: Settings

    /// Takes over changed settings; what is in flight goes on as it was sent.
    func update(_ webhook: Webhook, form: EndpointForm, matcher: EventMatcher) {
        let old = self.webhook
        self.webhook = webhook
        self.form = form
        self.matcher = matcher
        if old.settings != webhook.settings {
            for number in lanes.keys where number != Self.redeliveries {
                lanes[number]?.change(to: webhook.settings.mode)
            }
            // What was selected and encoded by the old settings is read again by the new ones.
            releaseLanes()
            target = Target(form.options, permits: form.permits)
            health = Health(concurrencyMax: form.concurrencyMax)
            rateLimits[Self.deliveries] = RateLimit(perSecond: webhook.settings.rateLimit)
        }
        if webhook.isActive, !old.isActive {
            health.reset()
            isBeingDisabled = false
        }
        if !webhook.isActive { releaseLanes() }
        updateReplays(progress: [])
    }

    private func updateReplays(progress: [LaneProgress]) {
        for replay in webhook.replays {
            if replay.status != .running {
                lanes.removeValue(forKey: replay.number)
                rateLimits.removeValue(forKey: replay.number)
            } else if lanes[replay.number] == nil {
                let kept = progress.first { $0.lane == replay.number }
                lanes[replay.number] = Lane(
                    mode: webhook.settings.mode,
                    done: kept?.done ?? PositionRanges(through: replay.from - 1),
                    end: replay.through)
                rateLimits[replay.number] = RateLimit(perSecond: replay.rateLimit)
            }
        }
    }

    private func releaseLanes() {
        for number in lanes.keys { lanes[number]?.release() }
    }

    // MARK: Reading

    /// How many events a lane should have at hand.
    func readAhead(_ lane: Int) -> Int {
        guard isActive else { return 0 }
        if health.isDown { return Self.readAheadDown }
        let wanted = readAhead[lane] ?? Self.readAheadFirst
        return LogBlock.isMemoryShort ? min(wanted, Self.readAheadFirst) : wanted
    }

    func wantsEvents(_ number: Int, now: Timestamp) -> Bool {
        guard number != Self.redeliveries, isActive, let lane = lanes[number] else {
            return false
        }
        // What waits for an endpoint that is down stays in the log, but for what tells since when.
        if let retryAt = health.retryAt, now < retryAt, lane.oldest != nil { return false }
        return lane.wantsEvents(target: readAhead(number))
    }

    func read(_ block: LogBlock, lane: Int, now: Timestamp) {
        let target = readAhead(lane)
        lanes[lane]?.read(block, target: target, selects: matcher.selection(of: block))
        // What nobody selected is worth keeping, too, once it is a lot to read again.
        if lane == Self.deliveries, let through = lanes[lane]?.done.through,
            through - keptThrough > Self.passedMax
        {
            noteProgress(0, now: now)
        }
    }

    /// Reads further ahead from now on, as the lane had nothing left while the log had more.
    func lengthenReadAhead(_ lane: Int) {
        guard !health.isDown, !LogBlock.isMemoryShort else { return }
        let most = max(512, form.batchCountMax * form.concurrencyMax * 2)
        readAhead[lane] = min(most, (readAhead[lane] ?? Self.readAheadFirst) * 2)
    }

    func load(_ batch: Int, lane: Int, from block: LogBlock) {
        lanes[lane]?.load(batch, from: block)
    }

    /// A batch whose events have to be read again before it can go.
    func positionsToLoad(_ lane: Int, now: Timestamp) -> (batch: Int, positions: [Int64])? {
        guard canSend, health.admits(inFlight: requestsInFlight, now: now) else { return nil }
        return lanes[lane]?.positionsToLoad(takesTurns: health.isDown, now: now)
    }

    func enqueueRedelivery(_ position: Int64) { lanes[Self.redeliveries]?.enqueue(position) }

    // MARK: Sending

    private var canSend: Bool {
        isActive && !isBeingDisabled && unkept + beingKept < Self.unkeptMax
    }

    /// Where the next request finds its slot.
    var place: HostSlots.Place { HostSlots.Place(host: form.host, isProven: isProven) }

    /// Whether anything waits that could be sent.
    var hasWork: Bool {
        canSend && lanes.values.contains { $0.pendingCount > 0 || !$0.frozen.isEmpty }
    }

    /// The next batch that may be sent now.
    ///
    /// - Parameter isModest: whether it is to be small, as there is much in flight.
    func next(now: Timestamp, isModest: Bool) -> (lane: Int, batch: Batch)? {
        guard canSend, health.admits(inFlight: requestsInFlight, now: now),
            rateLimits[Self.deliveries]?.admits(now) ?? true
        else { return nil }
        let bytesMax =
            isProven && !isModest
            ? form.batchBytesMax : min(form.batchBytesMax, Self.modestBytesMax)
        for lane in turns where rateLimits[lane]?.admits(now) ?? true {
            // Else what goes instead might take its place each time.
            if health.isDown, lanes[lane]?.positionsToLoad(takesTurns: true, now: now) != nil {
                return nil
            }
            guard
                let batch = lanes[lane]?.next(
                    countMax: form.batchCountMax, bytesMax: bytesMax, takesTurns: health.isDown,
                    now: now)
            else { continue }
            note(lane, batch, now)
            return (lane, batch)
        }
        return nil
    }

    /// The lanes in the order in which they may send now.
    ///
    /// News go first; yet of an endpoint that is behind, something else does now and then, and of
    /// one that is down each lane in its turn, as it may be one lane's batch that it can't digest.
    private var turns: [Int] {
        let first = health.isDown ? health.failures % laneOrder.count : newsLeft == 0 ? 1 : 0
        return first == 0 ? laneOrder : Array(laneOrder[first...] + laneOrder[..<first])
    }

    private func note(_ lane: Int, _ batch: Batch, _ now: Timestamp) {
        requestsInFlight += 1
        eventsInFlight += batch.positions.count
        newsLeft = newsLeft == 0 ? Self.newsInRow : newsLeft - 1
        rateLimits[lane]?.start(now)
        if lane != Self.deliveries { rateLimits[Self.deliveries]?.start(now) }
    }

    /// When there may be something to send that there is not now.
    func nextTime(after now: Timestamp) -> Timestamp? {
        guard canSend else { return nil }
        let common = [health.retryAt, rateLimits[Self.deliveries]?.nextAt]
        let lanesTimes = laneOrder.compactMap { lane in
            (common + [rateLimits[lane]?.nextAt]).compactMap { $0 }.max()
        }
        let retries = laneOrder.compactMap { lanes[$0]?.nextTime(after: now) }
        return (lanesTimes + retries).filter { $0 > now }.min()
    }

    // MARK: Answers

    /// What has to be done beyond the endpoint's own books.
    struct Consequences {
        var setAside: SetAside?
        var redelivered: Int64?
        var disableReason: String?
    }

    /// Settles what came of a batch.
    func ended(
        _ lane: Int, _ batch: Batch, _ verdict: Verdict, sentAt: Timestamp, now: Timestamp,
        status: Int?, answer: [UInt8]
    ) -> Consequences {
        requestsInFlight -= 1
        eventsInFlight -= batch.positions.count
        var consequences = Consequences()
        switch verdict {
        case .delivered:
            health.answered(sentAt: sentAt)
            isProven = true
            setAsideInRow = 0
            counts.delivered += batch.positions.count
            counts.lastDeliveryAt = now
            settle(lane, batch, now)
            if lane == Self.redeliveries { consequences.redelivered = batch.positions[0] }
        case .refused(let reason):
            note(reason, now)
            guard setAsideInRow < Self.setAsideInRowMax else {
                fail(lane, batch, .init(reason: reason), sentAt, now, &consequences)
                break
            }
            health.answered(sentAt: sentAt)
            blame(lane, batch, reason, status, answer, now, &consequences)
        case .failed(let failure):
            note(failure.reason, now)
            if failure.mayBeContent, mode != .strict, isToBlame(batch, now) {
                health.answered(sentAt: sentAt)
                blame(lane, batch, failure.reason, status, answer, now, &consequences)
            } else {
                fail(lane, batch, failure, sentAt, now, &consequences)
            }
        case .gone(let reason):
            note(reason, now)
            // Until that is recorded it is only down.
            fail(lane, batch, .init(reason: reason), sentAt, now, &consequences)
            consequences.disableReason = "the endpoint \(reason) Gone"
        }
        return consequences
    }

    /// Whether a batch has failed so often, and for so long, that it is not by chance.
    private func isToBlame(_ batch: Batch, _ now: Timestamp) -> Bool {
        guard let since = batch.failingSince, setAsideInRow < Self.setAsideInRowMax else {
            return false
        }
        return batch.refusals >= Self.refusalsMax && now - since >= Self.refusalTimeMin
    }

    private func note(_ reason: String, _ now: Timestamp) {
        counts.lastError = reason
        counts.lastErrorAt = now
    }

    /// The batch is the cause: a part of it, if it has several events.
    private func blame(
        _ lane: Int, _ batch: Batch, _ reason: String, _ status: Int?, _ answer: [UInt8],
        _ now: Timestamp, _ consequences: inout Consequences
    ) {
        guard batch.positions.count == 1 else {
            lanes[lane]?.halve(batch.number)
            return
        }
        setAsideInRow += 1
        if lane != Self.redeliveries { setAsideCount += 1 }
        settle(lane, batch, now)
        consequences.setAside = SetAside(
            webhook: id, position: batch.positions[0], attempts: batch.attempts + 1,
            status: status, reason: reason, answer: Self.text(answer), failedAt: now)
    }

    /// PostgreSQL has no text with U+0000.
    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
    }

    /// The endpoint is the cause: its clock is set, and the batch waits.
    private func fail(
        _ lane: Int, _ batch: Batch, _ failure: Verdict.Failure, _ sentAt: Timestamp,
        _ now: Timestamp, _ consequences: inout Consequences
    ) {
        if failure.mayBeContent, batch.positions.count > 1, mode != .strict,
            batch.attempts > 0, batch.attempts % Self.attemptsWhole == 0
        {
            // One half may pass where the whole does not, which shows who is to blame.
            lanes[lane]?.halve(batch.number, isLater: true)
        } else {
            // A batch is suspected only if the endpoint took others since it last failed.
            lanes[lane]?.freeze(
                batch.number, isRefusal: failure.mayBeContent && isProven, now: now)
        }
        isProven = false
        let isTooLong = health.failed(
            sentAt: sentAt, now: now, retryAfter: failure.retryAfter,
            isOverload: failure.isOverload, random: Double.random(in: 0..<1))
        releaseLanes()
        readAhead = [:]
        noteProgress(0, now: now)
        if isTooLong {
            consequences.disableReason = "it failed for five days: \(failure.reason)"
        }
    }

    /// A batch that is not sent at all, as its body would be over a limit.
    func refuseUnsent(
        _ lane: Int, _ batch: Batch, _ reason: String, now: Timestamp
    ) -> Consequences {
        requestsInFlight -= 1
        eventsInFlight -= batch.positions.count
        var consequences = Consequences()
        blame(lane, batch, reason, nil, [], now, &consequences)
        setAsideInRow = 0
        return consequences
    }

    private static func order(_ lanes: [Int: Lane]) -> [Int] {
        [deliveries] + lanes.keys.filter { $0 != deliveries }.sorted()
    }

    // MARK: Progress

    private func settle(_ lane: Int, _ batch: Batch, _ now: Timestamp) {
        lanes[lane]?.settle(batch.number)
        noteProgress(batch.positions.count, now: now)
    }

    private func noteProgress(_ count: Int, now: Timestamp) {
        unkept += count
        if unkeptSince == nil { unkeptSince = now }
    }

    /// What is to be kept of the lanes' progress, and from now on counts as kept.
    func takeProgress() -> [LaneProgress] {
        beingKept += unkept
        unkept = 0
        unkeptSince = nil
        keptThrough = lanes[Self.deliveries]?.done.through ?? 0
        return progress
    }

    /// Where the lanes stand.
    var progress: [LaneProgress] {
        lanes.compactMap { number, lane in
            guard number != Self.redeliveries else { return nil }
            return LaneProgress(
                webhook: id, lane: number, createdPosition: webhook.createdPosition,
                done: lane.done, failures: health.failures, failingSince: health.failingSince,
                retryAt: health.retryAt)
        }
    }

    /// What was taken to be kept is.
    func progressWasKept() { beingKept = 0 }

    /// What was taken to be kept is not: it has to be taken again.
    func progressWasNotKept(_ now: Timestamp) {
        noteProgress(beingKept, now: now)
        beingKept = 0
    }

    /// What an operator sees, but for the age of what waits.
    func status(head: Int64, now: Timestamp) -> EndpointStatus {
        var status = EndpointStatus()
        status.state =
            !isActive ? webhook.status.name : health.isDown ? "failing" : "healthy"
        if case .disabled(let reason) = webhook.status { status.reason = reason }
        if health.isDown { status.reason = counts.lastError }
        let lane = lanes[Self.deliveries]
        status.position = lane?.done.through ?? 0
        status.lagEvents = max(0, head - status.position)
        status.lagSeconds = lane?.oldest.map { max(0, (now - $0) / .seconds(1)) } ?? 0
        status.requestsInFlight = requestsInFlight
        status.eventsInFlight = eventsInFlight
        status.failures = health.failures
        status.failingSince = health.failingSince
        status.nextRetry = health.retryAt
        status.setAside = setAsideCount
        status.counts = counts
        status.replays = lanes.filter { $0.key > 0 }.mapValues(\.done.through)
        return status
    }

    /// Numbers of replays whose events are all settled.
    var completedReplays: [Int] {
        lanes.filter { $0.key > 0 && $0.value.isComplete }.map(\.key)
    }
}
