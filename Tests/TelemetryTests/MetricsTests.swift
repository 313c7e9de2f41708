import Testing

@testable import Telemetry

@Suite struct MetricsTests {
    private let metrics = Metrics()

    @Test func `metrics are shown with help and type, families and labels in order`() {
        metrics.counter("b_total", labels: [("x", "2")], help: "Bs.").increment(by: 3)
        metrics.counter("b_total", labels: [("x", "1")], help: "Bs.").increment()
        metrics.gauge("c", help: "C.").set(-1.5)
        metrics.gauge("a", help: "A.") { 42 }
        #expect(
            metrics.render() == """
                # HELP a A.
                # TYPE a gauge
                a 42
                # HELP b_total Bs.
                # TYPE b_total counter
                b_total{x="1"} 1
                b_total{x="2"} 3
                # HELP c C.
                # TYPE c gauge
                c -1.5

                """)
    }

    @Test func `a histogram shows cumulative buckets, sum and count`() {
        let seconds = metrics.histogram(
            "s", labels: [("route", "/")], bounds: [0.25, 1, 2], help: "S.")
        for value in [0.25, 0.5, 1, 8] { seconds.observe(value) }
        seconds.observe(.nan)
        seconds.observe(.milliseconds(250))
        #expect(
            metrics.render() == """
                # HELP s S.
                # TYPE s histogram
                s_bucket{route="/",le="0.25"} 2
                s_bucket{route="/",le="1"} 4
                s_bucket{route="/",le="2"} 4
                s_bucket{route="/",le="+Inf"} 5
                s_sum{route="/"} 10
                s_count{route="/"} 5

                """)
    }

    @Test func `quotes, backslashes and line ends are escaped`() {
        _ = metrics.counter("n_total", labels: [("l", "a\"b\\c\r\nd")], help: "one\\\ntwo \"x\"")
        #expect(
            metrics.render() == """
                # HELP n_total one\\\\\\ntwo "x"
                # TYPE n_total counter
                n_total{l="a\\"b\\\\c\r\\nd"} 0

                """)
    }

    @Test func `what is not a finite number has a name`() {
        metrics.gauge("a", help: "") { .nan }
        metrics.gauge("b", help: "") { -.infinity }
        #expect(metrics.render().contains("a NaN\n"))
        #expect(metrics.render().contains("b -Inf\n"))
    }

    @Test func `registering twice gives the same instrument`() {
        metrics.counter("n_total", labels: [("a", "1")], help: "").increment()
        #expect(metrics.counter("n_total", labels: [("a", "1")], help: "").value == 1)
        #expect(metrics.counter("n_total", labels: [("a", "2")], help: "").value == 0)
    }

    @Test func `nothing is lost when many observe at once`() async {
        let counter = metrics.counter("n_total", help: "")
        let gauge = metrics.gauge("g", help: "")
        let histogram = metrics.histogram("h", bounds: [1], help: "")
        await withTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        gauge.add(1)
                        histogram.observe(1)
                    }
                }
            }
        }
        #expect(counter.value == 80_000)
        #expect(gauge.value == 80_000)
        #expect(histogram.count == 80_000)
        #expect(histogram.sum == 80_000)
    }
}

@Suite struct CatalogueTests {
    @Test func `every metric of the ledger has a help text and a value from the start`() {
        let text = LedgerMetrics().registry.render()
        let lines = text.split(separator: "\n")
        let types = lines.filter { $0.hasPrefix("# TYPE ") }
        #expect(types.count == 16)
        #expect(!lines.contains { $0.hasPrefix("# HELP ") && $0.split(separator: " ").count < 4 })
        #expect(text.contains("ledger_head_position 0\n"))
    }

    @Test func `requests are counted by route, method and class of status`() {
        let metrics = LedgerMetrics()
        metrics.requests(route: "/v1/labs/{id}", method: "GET", status: 404).increment()
        metrics.requests(route: "/v1/labs/{id}", method: "GET", status: 410).increment()
        metrics.requests(route: "/v1/labs/{id}", method: "BREW", status: 200).increment()
        metrics.requestSeconds(route: "/v1/labs/{id}", method: "GET").observe(0.01)
        let text = metrics.registry.render()
        let requests = "ledger_http_requests_total{route=\"/v1/labs/{id}\""
        #expect(text.contains("\(requests),method=\"GET\",status=\"4xx\"} 2\n"))
        #expect(text.contains("\(requests),method=\"other\",status=\"2xx\"} 1\n"))
        #expect(text.contains("ledger_http_request_seconds_count{"))
    }

    @Test func `the process knows how much memory it has`() throws {
        #expect(try #require(ProcessStatus.residentBytes()) > 1_000_000)
    }
}
