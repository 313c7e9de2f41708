/// The results of an experiment, as the server answers.
struct ResultsAnswer: Decodable {
    struct Lag: Decodable {
        var events: Int
        var seconds: Double
    }

    struct SampleRatio: Decodable {
        var alert: Bool
        var p: Double
        var chiSquare: Double
        var degreesOfFreedom: Int
    }

    /// How many units a variant has, and which share of them it was meant to get.
    struct Arm: Decodable {
        var variant: String
        var split: Double?
        var assigned: Int
    }

    /// A cohort of a managed experiment, a definition of a step experiment.
    struct Cohort: Decodable {
        var cohort: Int?
        var definition: Int?
        var createdAt: String
        var sampleRatio: SampleRatio?
        var variants: [Arm]

        var number: Int { cohort ?? definition ?? 0 }
    }

    struct Test: Decodable {
        var low: Double?
        var high: Double?
        var p: Double
    }

    struct Comparison: Decodable {
        var estimate: Double?
        var reason: String?
        var welch: Test
        var alwaysValid: Test
    }

    struct ScoredArm: Decodable {
        var variant: String
        var isControl: Bool
        var units: Int
        var unscored: Int
        var mean: Double?
        var standardDeviation: Double?
        var median: Double?
        var verdict: String?
        var evidence: String?
        var difference: Comparison?
        var lift: Comparison?
        /// The cohorts that the comparison leaves out.
        var excluded: [Int]?
    }

    struct Score: Decodable {
        var name: String
        var kind: String
        var scores: Int
        var unattributed: Int
        var stratified: Bool
        var method: String
        var variants: [ScoredArm]
    }

    var function: String?
    var experiment: String
    var status: String?
    var position: Int
    var lag: Lag
    var aggregation: String
    var alpha: Double
    var minimumEffect: Double
    var control: String?
    var sampleRatio: SampleRatio?
    var variants: [Arm]
    var cohorts: [Cohort]?
    var definitions: [Cohort]?
    var unattributedScores: Int
    var scores: [Score]
}
