import Curl
import Domain
import EventLog
import JSON
import Postgres
import SeededRandomness

/// Asks for one thing after the other, of whichever node, and writes down what it is told.
struct Client {
    private let number: Int
    private let crowd: Crowd
    private var generator: SeededGenerator
    private let transfer = Transfer()
    /// Never raised: pauses are not cut short when the round ends.
    private let alarm = Signal()
    /// The furthest position it has heard of.
    private var position: Int64 = 0

    /// How long a command is repeated until it is answered.
    private static let patience = Duration.seconds(60)

    init(_ number: Int, of crowd: Crowd, _ generator: SeededGenerator) {
        self.number = number
        self.crowd = crowd
        self.generator = generator
    }

    mutating func run() {
        while !crowd.isStopped {
            switch Int.random(in: 0..<100, using: &generator) {
            case ..<30:
                assign("subject-\(crowd.nextNumber())", withKey: Bool.random(using: &generator))
            case ..<45: race()
            case ..<55: if let subject = crowd.subject(&generator) { assign(subject) }
            case ..<65: select("run-\(crowd.nextNumber())")
            case ..<66: assignMany()
            case ..<69: if let run = crowd.run(&generator) { select(run) }
            case ..<78: if let subject = crowd.subject(&generator) { score(subject) }
            case ..<81: appendLab()
            case ..<88: if let subject = crowd.subject(&generator) { read(subject) }
            case ..<95:
                read(
                    "race-\((crowd.nextFreeNumber - Int.random(in: 0..<12, using: &generator)) / 2)"
                )
            default: page()
            }
        }
    }

    // MARK: Commands

    private mutating func assign(_ subject: String, withKey: Bool = false) {
        assign([subject], idempotencyKey: withKey ? "assign-\(subject)" : nil)
    }

    /// So many that the sequencer sends the first events while it decides the next.
    private mutating func assignMany() {
        let number = crowd.nextNumber()
        let key = Bool.random(using: &generator) ? "many-\(number)" : nil
        let count = Int.random(in: 2...800, using: &generator)
        assign((0..<count).map { "many-\(number)-\($0)" }, idempotencyKey: key)
    }

    private mutating func assign(_ subjects: [String], idempotencyKey: String?) {
        let list = subjects.map { #""\#($0)""# }.joined(separator: ",")
        write(
            subjects.map { .assigned($0) }, "/v1/experiments/\(Stage.experiment)/assignments",
            #"{"subjects":[\#(list)]}"#, idempotencyKey: idempotencyKey)
    }

    /// The numbers of a pair go to two clients that ask at nearly the same time.
    private mutating func race() {
        assign("race-\(crowd.nextNumber() / 2)")
    }

    private mutating func select(_ run: String) {
        write(
            [.selected(run)], "/v1/selections",
            """
            {"function":"torture","experiment":"step","run":"\(run)","variants":["a","b"],\
            "strategy":"weighted","weights":{"a":1,"b":2}}
            """)
    }

    /// A score of a value that no other has, told from others by it or by an ID of its own.
    private mutating func score(_ subject: String) {
        let value = Int64(crowd.nextNumber())
        let score =
            #""experiment":"\#(Stage.experiment)","subject":"\#(subject)","name":"n","#
            + #""value":\#(value)"#
        switch Int.random(in: 0..<3, using: &generator) {
        case 0:
            write([.scored(value)], "/v1/scores", "{\(score)}", idempotencyKey: "score-\(value)")
        case 1:
            let id = eventID()
            write([.event(id)], "/v1/scores", #"{\#(score),"id":"\#(id)"}"#, eventID: id)
        default:
            let id = eventID()
            write(
                [.event(id)], "/v1/events",
                #"{"type":"ScoreRecorded","data":{\#(score)},"id":"\#(id)"}"#, eventID: id)
        }
    }

    private mutating func appendLab() {
        let id = eventID()
        write(
            [.event(id)], "/v1/events",
            """
            {"type":"LabCreated","data":{"metadata":{"id":"lab-\(crowd.nextNumber())"}},\
            "id":"\(id)"}
            """, eventID: id)
    }

    private mutating func eventID() -> String {
        EventID(at: .now, using: &generator).description
    }

    /// Repeats a command until it is answered, each time at another node.
    private mutating func write(
        _ effects: [Effect], _ path: String, _ body: String, idempotencyKey: String? = nil,
        eventID: String? = nil
    ) {
        let headers = idempotencyKey.map { [("Idempotency-Key", $0)] } ?? []
        let deadline = ContinuousClock.now + Self.patience
        var delay = Duration.milliseconds(10)
        while true {
            let outcome = send(
                .write(effects), "POST", path, headers, body, key: idempotencyKey ?? eventID)
            guard case .unknown(let detail) = outcome else { return }
            guard ContinuousClock.now < deadline else {
                return crowd.report(
                    Finding(.stuck, "client \(number): \(effects[0]) is never answered: \(detail)"))
            }
            _ = alarm.wait(timeout: delay)
            delay = min(delay * 2, .milliseconds(300))
        }
    }

    // MARK: Reading

    private mutating func read(_ subject: String) {
        var minPosition: Int64?
        var headers: [(String, String)] = []
        if Bool.random(using: &generator) {
            minPosition = position
            headers = [("X-Ledger-Min-Position", "\(position)")]
        }
        send(
            .read(.assigned(subject)), "POST", "/v1/experiments/\(Stage.experiment)/assignments",
            headers, #"{"subjects":["\#(subject)"],"assign":false}"#, minPosition: minPosition)
    }

    private mutating func page() {
        let limit = Int.random(in: 1...50, using: &generator)
        let after = Int64.random(in: 0...max(0, position), using: &generator)
        let minPosition = Bool.random(using: &generator) ? position : nil
        let wait = minPosition.map { "&min_position=\($0)" } ?? ""
        send(
            .page(after: after, limit: limit), "GET",
            "/v1/events?after=\(after)&limit=\(limit)\(wait)", [], nil, minPosition: minPosition)
    }

    // MARK: Requests

    private static let timeoutMilliseconds = 6_000

    /// Sends a request to a node and writes down what came of it.
    @discardableResult
    private mutating func send(
        _ request: Operation.Request, _ method: String, _ path: String,
        _ headers: [(String, String)], _ body: String?, key: String? = nil,
        minPosition: Int64? = nil
    ) -> Operation.Outcome {
        let node = Int.random(in: 0..<crowd.urls.count, using: &generator)
        let invoked = crowd.clock.now
        let outcome: Operation.Outcome
        do throws(CurlError) {
            let response = try transfer.perform(
                Request(
                    method: method, url: crowd.urls[node] + path,
                    headers: headers + [("Authorization", "Bearer \(crowd.key)")],
                    body: body.map { Array($0.utf8) },
                    timeoutMilliseconds: Self.timeoutMilliseconds,
                    connectTimeoutMilliseconds: Self.timeoutMilliseconds))
            outcome = Self.outcome(of: response, to: request)
        } catch { outcome = .unknown(error.description) }
        if case .answered(let answer) = outcome {
            position = max(position, answer.position ?? 0)
        }
        crowd.record(
            Operation(
                client: number, node: node, invoked: invoked, completed: crowd.clock.now,
                request: request, key: key, minPosition: minPosition, outcome: outcome))
        return outcome
    }

    private static func outcome(
        of response: Response, to request: Operation.Request
    ) -> Operation.Outcome {
        let text = String(decoding: response.body.prefix(500), as: UTF8.self)
        switch response.status {
        case 200..<300: break
        case 400..<500: return .refused("\(response.status) \(text)")
        default: return .unknown("\(response.status) \(text)")
        }
        var answer = Answer(
            position: response.head.header("X-Ledger-Position").flatMap { Int64($0) },
            body: response.body)
        if case .page = request {
            answer.lines = response.body.split(separator: UInt8(ascii: "\n"))
                .map { MerkleFrontier.leaf(Array($0)) }
        } else {
            guard let json = try? JSONValue.parse(response.body) else {
                return .refused("\(response.status) without JSON: \(text)")
            }
            answer.facts = facts(in: json, about: request)
        }
        return .answered(answer)
    }

    private static func facts(
        in json: JSONValue, about request: Operation.Request
    ) -> [Effect: Fact] {
        var facts: [Effect: Fact] = [:]
        if let assignments = json["assignments"]?.array {
            for item in assignments {
                guard let subject = item["subject"]?.string, let variant = item["variant"]?.string,
                    let position = item["position"]?.integer
                else { continue }
                facts[.assigned(subject)] = Fact(position: position, variant: variant)
            }
        } else if case .write(let effects) = request, let effect = effects.first,
            let position = json["position"]?.integer
        {
            facts[effect] = Fact(
                position: position, variant: effect.isVariant ? json["variant"]?.string : nil)
        }
        return facts
    }
}
