import Synchronization

/// Every metric of the ledger, with its name, unit and meaning.
///
/// Names end in their unit: `_seconds`, `_bytes`, `_events`, `_commands`; what only grows ends in
/// `_total`.
package final class LedgerMetrics: Sendable {
    /// Where all of them are registered, and shown.
    package let registry: Metrics

    /// Commands decided in one batch.
    package let batchCommands: Histogram
    /// Events that one batch recorded.
    package let batchEvents: Histogram
    /// Commands that wait for the sequencer.
    package let queueDepth: Gauge
    /// Time from the start of a batch's transaction to the answer to its COMMIT.
    package let commitSeconds: Histogram
    /// Commits that failed and recorded nothing.
    package let commitsFailed: Counter
    /// Commits whose connection broke before the answer came.
    package let commitsUnknown: Counter
    /// Position of the last event.
    package let headPosition: Gauge
    /// Epoch under which this node writes, or last saw another one write.
    package let epoch: Gauge
    /// Position up to which the projections that follow behind have read.
    package let projectionPosition: Gauge
    /// Events between that position and the head.
    package let projectionLag: Gauge
    /// Look-ups of an earlier assignment that the cache answered.
    package let cacheHits: Counter
    /// Look-ups of an earlier assignment that went to the database.
    package let cacheMisses: Counter
    /// Assignments in the cache.
    package let cacheEntries: Gauge
    /// Readers that follow the live feed.
    package let feedSubscribers: Gauge

    private struct Route: Hashable {
        let route: String
        let method: String
        var status = ""
    }

    private let requestHistograms = Mutex<[Route: Histogram]>([:])
    private let requestCounters = Mutex<[Route: Counter]>([:])

    /// Registers all metrics in `registry`.
    package init(registry: Metrics = Metrics()) {
        self.registry = registry
        batchCommands = registry.histogram(
            "ledger_sequencer_batch_commands", bounds: Bounds.counts,
            help: "Commands decided in one batch.")
        batchEvents = registry.histogram(
            "ledger_sequencer_batch_events", bounds: Bounds.counts,
            help: "Events that one batch recorded.")
        queueDepth = registry.gauge(
            "ledger_sequencer_queue_commands", help: "Commands that wait for the sequencer.")
        commitSeconds = registry.histogram(
            "ledger_commit_seconds", bounds: Bounds.seconds,
            help: "Time from the start of a batch's transaction to the answer to its COMMIT.")
        commitsFailed = registry.counter(
            "ledger_commits_failed_total", help: "Commits that failed and recorded nothing.")
        commitsUnknown = registry.counter(
            "ledger_commits_unknown_total",
            help: "Commits whose connection broke before the answer came.")
        headPosition = registry.gauge(
            "ledger_head_position", help: "Position of the last event.")
        epoch = registry.gauge(
            "ledger_epoch", help: "Epoch under which this node writes, or last saw one write.")
        projectionPosition = registry.gauge(
            "ledger_projection_position",
            help: "Position up to which the projections that follow behind have read.")
        projectionLag = registry.gauge(
            "ledger_projection_lag_events",
            help: "Events between the projections' position and the head.")
        cacheHits = registry.counter(
            "ledger_assignment_cache_hits_total",
            help: "Look-ups of an earlier assignment that the cache answered.")
        cacheMisses = registry.counter(
            "ledger_assignment_cache_misses_total",
            help: "Look-ups of an earlier assignment that went to the database.")
        cacheEntries = registry.gauge(
            "ledger_assignment_cache_entries", help: "Assignments in the cache.")
        feedSubscribers = registry.gauge(
            "ledger_feed_subscribers", help: "Readers that follow the live feed.")
        ProcessStatus.register(in: registry)
    }

    /// How long requests of a route took, from their head to the last byte of the answer.
    ///
    /// `route` is the pattern (`/v1/experiments/{id}`) and never a request's path, of which there
    /// would be no end.
    package func requestSeconds(route: String, method: String) -> Histogram {
        let key = Route(route: route, method: Self.known(method))
        return requestHistograms.withLock { histograms in
            if let histogram = histograms[key] { return histogram }
            let histogram = registry.histogram(
                "ledger_http_request_seconds",
                labels: [("route", key.route), ("method", key.method)], bounds: Bounds.seconds,
                help: "Time from a request's head to the last byte of its answer.")
            histograms[key] = histogram
            return histogram
        }
    }

    /// How many requests of a route were answered with a class of status, such as `4xx`.
    package func requests(route: String, method: String, status: Int) -> Counter {
        let key = Route(route: route, method: Self.known(method), status: "\(status / 100)xx")
        return requestCounters.withLock { counters in
            if let counter = counters[key] { return counter }
            let counter = registry.counter(
                "ledger_http_requests_total",
                labels: [("route", key.route), ("method", key.method), ("status", key.status)],
                help: "Requests answered, by class of status.")
            counters[key] = counter
            return counter
        }
    }

    /// A client may send any word as a method; each would be a series of its own.
    private static func known(_ method: String) -> String {
        switch method {
        case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS": method
        default: "other"
        }
    }
}

/// The upper bounds of the histograms' buckets.
private enum Bounds {
    static let seconds: [Double] = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,
        2.5, 5, 10,
    ]
    static let counts: [Double] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
    ]
}
