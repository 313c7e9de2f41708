import Domain
import Telemetry

/// The dispatcher's metrics: for each endpoint a series of each.
enum WebhookMetrics {
    /// Registers them; `statuses` is asked whenever they are shown.
    static func register(
        in registry: Metrics, statuses: @escaping @Sendable () -> [String: EndpointStatus]
    ) {
        func show(
            _ name: String, _ help: String, isCounter: Bool = false,
            _ value: @escaping @Sendable (EndpointStatus) -> Double
        ) {
            registry.collect("ledger_webhook_\(name)", isCounter: isCounter, help: help) {
                statuses().map { ([("webhook", $0.key)], value($0.value)) }
            }
        }
        show("lag_events", "Events of the log behind the head that the endpoint has not settled.") {
            Double($0.lagEvents)
        }
        show("lag_seconds", "Age of the oldest event that waits for the endpoint.") {
            $0.lagSeconds
        }
        show("requests_in_flight", "Requests whose answer is awaited.") {
            Double($0.requestsInFlight)
        }
        show("events_in_flight", "Events in these requests.") { Double($0.eventsInFlight) }
        show("up", "1 while the endpoint takes its deliveries, 0 while it does not.") {
            $0.state == "healthy" ? 1 : 0
        }
        show("set_aside_events", "Events that the endpoint did not take, set aside.") {
            Double($0.setAside)
        }
        show(
            "next_retry_timestamp_seconds", "When an endpoint that is down is tried; 0 if it is up."
        ) {
            Double($0.nextRetry?.microseconds ?? 0) / 1e6
        }
        show("batch_events", "Events in a delivered request, on average.") { $0.counts.batchFill }
        show("delivered_events_total", "Events delivered.", isCounter: true) {
            Double($0.counts.delivered)
        }
        show(
            "connections_reused_total", "Requests over a connection that was open already.",
            isCounter: true
        ) { Double($0.counts.reused) }
        registry.collect(
            "ledger_webhook_attempts_total", isCounter: true, help: "Requests, by how they ended."
        ) {
            statuses().flatMap { id, status in
                AttemptOutcome.allCases.map { outcome in
                    (
                        [("webhook", id), ("outcome", outcome.rawValue)],
                        Double(status.counts.attempts[outcome] ?? 0)
                    )
                }
            }
        }
    }
}
