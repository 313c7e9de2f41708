import ArgumentParser

/// `ledger results`: which variant is better, and how sure that is.
struct Results: ParsableCommand {
    /// Which number a unit with several scores of one name counts with.
    enum Aggregate: String, ExpressibleByArgument, CaseIterable {
        case latest, sum, count, mean, min, max
    }

    static let configuration = CommandConfiguration(
        abstract: "Show which variant is better, and how sure that is.",
        discussion: """
            The intervals hold however often they are looked at, and verdicts rest on them; p is \
            Welch's, and holds for one look at a moment chosen beforehand. Where variants did not \
            get their shares of units, nothing is concluded.

            Examples:
              ledger results HERO
              ledger results HERO --name revenue --aggregate sum --minimum-effect 0.02
              ledger results HERO --name latency --lower-is-better --cohort 2
              ledger results model --function summarize --control gpt4o
              ledger results HERO --as-of 2026-01-31T12:00:00Z --json
            """)

    @Argument(help: "The experiment.")
    var experiment: String

    @Option(help: ArgumentHelp("The function of a step experiment.", valueName: "function"))
    var function: String?

    @Option(help: ArgumentHelp("Only the scores of this name.", valueName: "score"))
    var name: String?

    @Option(help: ArgumentHelp("Only scores from this time on.", valueName: "time"))
    var from: String?

    @Option(help: ArgumentHelp("Only scores before this time.", valueName: "time"))
    var to: String?

    @Option(help: ArgumentHelp("Only this cohort.", valueName: "number"))
    var cohort: Int?

    @Option(
        help: ArgumentHelp("Only this definition of a step experiment.", valueName: "number"))
    var definition: Int?

    @Option(
        help: ArgumentHelp("Show it as of this position or time.", valueName: "position|time"))
    var asOf: String?

    @Option(help: "What a unit with several scores of one name counts with.")
    var aggregate: Aggregate = .latest

    @Option(
        help: ArgumentHelp(
            "How often an interval may miss the truth; 0.05 if nothing is said.",
            valueName: "share"))
    var alpha: Double?

    @Option(
        help: ArgumentHelp("What the others are compared with.", valueName: "variant"))
    var control: String?

    @Option(
        help: ArgumentHelp(
            "The smallest difference that matters, in shares of the control's mean.",
            valueName: "share"))
    var minimumEffect: Double?

    @Flag(help: "Less is better, as with latencies.")
    var lowerIsBetter = false

    @Option(
        help: ArgumentHelp(
            "Fail rather than show figures that are older than this.", valueName: "position"))
    var minPosition: Int?

    @OptionGroup var options: ClientOptions

    func validate() throws {
        if experiment.isEmpty || function?.isEmpty == true {
            throw ValidationError("An experiment and a function have names.")
        }
        if cohort != nil, function != nil || definition != nil {
            throw ValidationError("Step experiments have definitions: use --definition.")
        }
        if definition != nil, function == nil {
            throw ValidationError("--definition goes with --function; others have cohorts.")
        }
        if let alpha, !(0 < alpha && alpha < 1) {
            throw ValidationError("--alpha lies between 0 and 1, such as 0.05.")
        }
        if let minimumEffect, !(minimumEffect >= 0 && minimumEffect.isFinite) {
            throw ValidationError("--minimum-effect is 0 or more, such as 0.01.")
        }
    }

    var path: [String] {
        let experiment = ["experiments", experiment, "results"]
        return ["v1"] + (function.map { ["functions", $0] } ?? []) + experiment
    }

    var query: [(String, String?)] {
        [
            ("name", name), ("from", from), ("to", to), ("cohort", cohort.map(String.init)),
            ("definition", definition.map(String.init)), ("asOf", asOf),
            ("aggregate", aggregate == .latest ? nil : aggregate.rawValue),
            ("alpha", alpha.map { "\($0)" }), ("control", control),
            ("minimumEffect", minimumEffect.map { "\($0)" }),
            ("lowerIsBetter", lowerIsBetter ? "true" : nil),
            ("minPosition", minPosition.map(String.init)),
        ]
    }

    func run() throws {
        let response = try options.client().send(
            "GET", path,
            Client.Details(
                query: query,
                accept: options.format == .yaml ? "application/yaml" : "application/json"))
        guard options.format == .table else { return Terminal.print(body: response.body) }
        let answer = try ServerJSON.decode(ResultsAnswer.self, from: response.body)
        print(ResultsView(answer, asOf: asOf).text, terminator: "")
    }
}
