/// A Lua script for wrk.
///
/// Each of wrk's threads has a Lua state of its own and an `id`; subjects of a fixed width make
/// every request of a script equally long.
struct Script {
    private let path: String
    /// What each thread's Lua state does.
    private let load: String
    /// The key that requests are sent with.
    var key: String?
    /// Requests of all threads together; nil means as many as are answered.
    var perSecond: Double?
    /// Of the servers on this machine that the threads are spread over; none means wrk's own.
    private var ports: [Substring] = []

    static let repeatPrefix = "repeat"
    static let reportPrefix = "measured "

    /// The body that asks for these subjects.
    static func body(_ subjects: [String]) -> String {
        "{\"subjects\":[" + subjects.map { "\"\($0)\"" }.joined(separator: ",")
            + "],\"assign\":true}"
    }

    /// Ten digits, so that subjects sort as they count.
    static func padded(_ number: Int) -> String {
        let digits = "\(number)"
        return String(repeating: "0", count: max(0, 10 - digits.count)) + digits
    }

    // MARK: Loads

    /// Subjects drawn from those assigned already.
    static func repeating(_ name: String) -> Script {
        Script(to: Stage.path, repeating: { body([$0]) })
    }

    /// One subject that never came before.
    static func new(_ name: String) -> Script {
        Script(to: Stage.path, new: name, { body([$0]) })
    }

    /// One of the units `PREFIX-0000000000` and up, drawn anew for each request.
    private init(to path: String, repeating body: (String) -> String) {
        self.init(
            to: path,
            """
            local requests = {}
            function init(args)
                math.randomseed(id + 1)
                for n = 0, \(Scenario.repeatSubjects - 1) do
                    requests[n + 1] = post(string.format(
                        '\(body("\(Self.repeatPrefix)-%010d"))', n))
                end
            end
            function request() return requests[math.random(#requests)] end
            """)
    }

    /// A unit that never came before.
    private init(to path: String, new name: String, _ body: (String) -> String) {
        self.init(
            to: path,
            """
            local before, after
            local count = 0
            function init(args)
                local whole = post('\(body("new\(name)-' .. id .. '-##########"))')
                before, after = whole:match("^(.*)##########(.*)$")
            end
            function request()
                count = count + 1
                return before .. string.format("%010d", count) .. after
            end
            """)
    }

    /// Many subjects that never came before.
    static func batch(_ name: String, length: Int) -> Script {
        Script(
            """
            local count = 0
            local subjects = {}
            function request()
                for n = 1, \(length) do
                    count = count + 1
                    subjects[n] = string.format("batch\(name)-%d-%010d", id, count)
                end
                return post('{"subjects":["' .. table.concat(subjects, '","') .. '"],"assign":true}')
            end
            """)
    }

    // MARK: Selections

    static let selections = "/v1/selections"

    /// The body that asks for a run's variant.
    static func selection(_ run: String) -> String {
        """
        {"function":"summarize-document","experiment":"model-comparison","run":"\(run)",\
        "variants":["gpt4o","claude"],"strategy":"weighted","weights":{"gpt4o":50,"claude":50}}
        """
    }

    /// Runs drawn from those that have their variant already.
    static func repeatingSelection(_ name: String) -> Script {
        Script(to: selections, repeating: selection)
    }

    /// One run that never came before.
    static func newSelection(_ name: String) -> Script {
        Script(to: selections, new: name, selection)
    }

    // MARK: Scores

    /// The body that records a score of each of these subjects.
    static func scores(_ subjects: [String], value: Double) -> String {
        "["
            + subjects.map {
                #"{"experiment":"\#(Stage.experiment)","subject":"\#($0)","name":"revenue","value":\#(value)}"#
            }.joined(separator: ",") + "]"
    }

    /// Many scores, of the subjects `PREFIX-0000000000` and up in turn.
    static func scores(prefix: String, subjects: Int, length: Int) -> Script {
        Script(
            to: "/v1/scores",
            """
            local count = 0
            local scores = {}
            function request()
                for n = 1, \(length) do
                    scores[n] = string.format(
                        '{"experiment":"\(Stage.experiment)","subject":"\(prefix)-%010d",' ..
                        '"name":"revenue","value":%.2f}',
                        (2 * count + id) % \(subjects), (count * 7919 + id) % 10007 / 100)
                    count = count + 1
                end
                return post('[' .. table.concat(scores, ',') .. ']')
            end
            """)
    }

    // MARK: Deliveries

    /// The same body again and again.
    static func posting(_ body: String, to path: String) -> Script {
        Script(
            to: path,
            """
            local whole
            function init(args) whole = post([==[\(body)]==]) end
            function request() return whole end
            """)
    }

    // MARK: What they share

    private init(to path: String = Stage.path, _ load: String) {
        self.path = path
        self.load = load
    }

    /// Gives each of as many threads a server of its own.
    mutating func spread(over urls: [String]) {
        ports = urls.compactMap { $0.split(separator: ":").last }
    }

    var threads: Int { max(2, ports.count) }

    var text: String {
        """
        local threads = 0
        local ports = {\(ports.map { "\"\($0)\"" }.joined(separator: ","))}
        function setup(thread)
            thread:set("id", threads)
            threads = threads + 1
            if ports[threads] then thread.addr = wrk.lookup("127.0.0.1", ports[threads])[1] end
        end
        local headers = {["Content-Type"] = "application/json"\(authorization)}
        function post(body) return wrk.format("POST", "\(path)", headers, body) end
        \(load)
        \(pacing)
        function done(summary, latency, requests)
            local errors = summary.errors
            print(string.format("\(Self.reportPrefix)%d %d %d %d %d %d %d %d %d",
                summary.requests, summary.duration,
                latency:percentile(50), latency:percentile(99),
                errors.connect, errors.read, errors.write, errors.status, errors.timeout))
        end

        """
    }

    private var authorization: String {
        key.map { ", [\"Authorization\"] = \"Bearer \($0)\"" } ?? ""
    }

    /// Gives each request of a thread its time, whether or not earlier ones are answered: one that
    /// is late is sent at once, and those behind it keep their times.
    private var pacing: String {
        guard let perSecond else { return "" }
        return """
            local ffi = require("ffi")
            ffi.cdef[[
                typedef struct { long seconds, nanoseconds; } instant;
                int clock_gettime(int clock, instant *now);
            ]]
            local instant = ffi.new("instant")
            local due
            function delay()
                ffi.C.clock_gettime(1, instant)
                local now = tonumber(instant.seconds) * 1e3 + tonumber(instant.nanoseconds) / 1e6
                due = (due or now) + \(1_000 * Double(threads) / perSecond)
                return math.max(0, math.floor(due - now + 0.5))
            end
            """
    }
}
