import Synchronization

/// A registry of metrics that shows them all in Prometheus' text format.
///
/// Registering the same name with the same labels again gives the same instrument. A name has one
/// kind; registering it as another one is a programmer's error and ends the process.
package final class Metrics: Sendable {
    /// Label names and values in the order in which they are shown.
    package typealias Labels = [(String, String)]

    private enum Instrument: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case callback(@Sendable () -> Double)
        case histogram(Histogram)

        var type: String {
            switch self {
            case .counter: "counter"
            case .gauge, .callback: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private struct Family: Sendable {
        let help: String
        let type: String
        /// By the labels as they are shown, without the braces.
        var instruments: [String: Instrument] = [:]
    }

    /// A family whose series come and go, such as those of webhook endpoints.
    private struct Collected: Sendable {
        let help: String
        let type: String
        let samples: @Sendable () -> [(labels: Labels, value: Double)]
    }

    private let families = Mutex<[String: Family]>([:])
    private let collected = Mutex<[String: Collected]>([:])

    /// Makes an empty registry.
    package init() {}

    /// Registers a counter; by convention `name` ends in `_total`.
    package func counter(_ name: String, labels: Labels = [], help: String) -> Counter {
        let instrument = register(name, labels, help) { .counter(Counter()) }
        guard case .counter(let counter) = instrument else { Self.conflict(name, instrument.type) }
        return counter
    }

    /// Registers a gauge that the program sets.
    package func gauge(_ name: String, labels: Labels = [], help: String) -> Gauge {
        let instrument = register(name, labels, help) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = instrument else { Self.conflict(name, instrument.type) }
        return gauge
    }

    /// Registers a gauge that is asked for its value whenever the metrics are shown.
    package func gauge(
        _ name: String,
        labels: Labels = [],
        help: String,
        value: @escaping @Sendable () -> Double
    ) {
        let instrument = register(name, labels, help) { .callback(value) }
        guard case .callback = instrument else { Self.conflict(name, instrument.type) }
    }

    /// Registers a histogram with the upper bounds of its buckets, which rise; a last one for all
    /// that is larger is added.
    package func histogram(
        _ name: String,
        labels: Labels = [],
        bounds: [Double],
        help: String
    ) -> Histogram {
        let instrument = register(name, labels, help) { .histogram(Histogram(bounds: bounds)) }
        guard case .histogram(let histogram) = instrument, histogram.bounds == bounds else {
            Self.conflict(name, instrument.type)
        }
        return histogram
    }

    /// Registers a family that is asked for all of its series whenever the metrics are shown.
    ///
    /// - Parameter isCounter: whether the values only grow.
    package func collect(
        _ name: String,
        isCounter: Bool = false,
        help: String,
        samples: @escaping @Sendable () -> [(labels: Labels, value: Double)]
    ) {
        precondition(Exposition.isName(name), "\(name) can't be a metric's name")
        collected.withLock {
            $0[name] = Collected(
                help: help, type: isCounter ? "counter" : "gauge", samples: samples)
        }
    }

    /// Shows all metrics in Prometheus' text format 0.0.4, families and labels in order.
    package func render() -> String {
        // Callbacks are called without the lock: they may take others.
        let families = families.withLock { $0 }
        var text = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(Exposition.escaped(help: family.help))\n"
            text += "# TYPE \(name) \(family.type)\n"
            for (labels, instrument) in family.instruments.sorted(by: { $0.key < $1.key }) {
                switch instrument {
                case .counter(let counter):
                    text += Exposition.sample(name, labels, Double(counter.value))
                case .gauge(let gauge):
                    text += Exposition.sample(name, labels, gauge.value)
                case .callback(let value):
                    text += Exposition.sample(name, labels, value())
                case .histogram(let histogram):
                    text += Exposition.samples(name, labels, histogram)
                }
            }
        }
        for (name, family) in collected.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            text += "# HELP \(name) \(Exposition.escaped(help: family.help))\n"
            text += "# TYPE \(name) \(family.type)\n"
            text += family.samples().map { (Exposition.labels($0.labels), $0.value) }
                .sorted { $0.0 < $1.0 }
                .map { Exposition.sample(name, $0.0, $0.1) }.joined()
        }
        return text
    }

    private func register(
        _ name: String,
        _ labels: Labels,
        _ help: String,
        make: () -> Instrument
    ) -> Instrument {
        precondition(Exposition.isName(name), "\(name) can't be a metric's name")
        precondition(
            labels.allSatisfy { Exposition.isName($0.0) }, "\(name) has a label of a wrong name")
        let key = Exposition.labels(labels)
        return families.withLock { families in
            let new = make()
            var family = families[name] ?? Family(help: help, type: new.type)
            if let old = family.instruments[key] { return old }
            if family.type != new.type { Self.conflict(name, family.type) }
            family.instruments[key] = new
            families[name] = family
            return new
        }
    }

    private static func conflict(_ name: String, _ type: String) -> Never {
        preconditionFailure("\(name) is registered already, as another \(type)")
    }
}
