use super::*;
use crate::config::plan_from_text;
use crate::mqtt::payload::{Bodies, compose};
use crate::reading::{Content, Report};
use catalogue::Catalogue;
use jiff::Timestamp;
use minijinja::{Environment, context};
use serde_json::Value as Json;
use std::path::Path;

/// Units and state classes that Home Assistant documents for a device class (integrations/sensor, `DEVICE_CLASS_UNITS`
/// and `DEVICE_CLASS_STATE_CLASSES` of its sensor component), as far as ours can be of it.
const DOCUMENTED: [(&str, &[&str], &[&str]); 10] = [
    ("energy", &["Wh", "kWh", "MWh"], &["total", "total_increasing"]),
    ("reactive_energy", &["varh", "kvarh"], &["total", "total_increasing"]),
    ("power", &["W", "kW"], &["measurement"]),
    ("reactive_power", &["var", "kvar"], &["measurement"]),
    ("apparent_power", &["VA", "kVA"], &["measurement"]),
    ("voltage", &["V", "mV"], &["measurement"]),
    ("current", &["A", "mA"], &["measurement"]),
    ("power_factor", &["", "%"], &["measurement"]),
    ("frequency", &["Hz"], &["measurement"]),
    ("temperature", &["°C"], &["measurement"]),
];
const DURATION: [&str; 5] = ["d", "h", "min", "s", "ms"];

fn plan(form: &str, ratio: &str) -> Plan {
    let text = format!(
        "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\n\
         [mqtt]\npayload = \"{form}\"\nhome_assistant = \"homeassistant\"\n\
         [[bus]]\nname = \"a\"\nport = \"/dev/ttyS1\"\n\
         [[meter]]\nname = \"总表\"\nbus = \"a\"\naddress = \"12345678\"\n{ratio}\n\
         [[task]]\nname = \"live\"\nevery = \"15m\"\nregisters = [\"voltage_l1\", \"current_l1\"]\n"
    );
    plan_from_text("meterd.toml", &text, Path::new("/")).unwrap().plan
}

fn known(registers: &[(&str, &str)]) -> BTreeMap<String, Known> {
    let registers = registers.iter().map(|(name, task)| ((*name).to_owned(), (*task).to_owned())).collect();
    let known = Known { topic: String::new(), address: "000012345678".to_owned(), registers };
    BTreeMap::from([("总表".to_owned(), known)])
}

fn announced(plan: &Plan, known: &BTreeMap<String, Known>) -> Json {
    let directs = announcements(plan, known);
    assert_eq!((directs.len(), directs[0].retain), (1, true));
    serde_json::from_slice(&directs[0].payload).unwrap()
}

#[test]
fn a_device_has_what_home_assistant_documents_and_only_registers_that_were_read() {
    let plan = plan("full", "");
    let device = announced(&plan, &known(&[("voltage_l1", "live"), ("frequency", "live"), ("angle", "")]));
    assert_eq!(device["device"]["identifiers"][0], "meterd/gw01/总表");
    assert_eq!(device["device"]["serial_number"], "000012345678");
    assert_eq!(device["origin"]["name"], "meterd");
    assert_eq!(device["availability_mode"], "all");
    let topics: Vec<_> = (0..2).map(|n| device["availability"][n]["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["meterd/v1/gw01/status", "meterd/v1/gw01/meter/总表/status"]);
    let components = device["components"].as_object().unwrap();
    let names: Vec<_> = components.keys().map(String::as_str).collect();
    assert_eq!(names, ["angle", "frequency", "voltage_l1"], "current_l1 was never read");
    for removed in ["angle", "frequency"] {
        assert_eq!(
            components[removed],
            serde_json::json!({ "platform": "sensor" }),
            "no task reads {removed}"
        );
    }
    let sensor = &components["voltage_l1"];
    assert_eq!((&sensor["unit_of_measurement"], &sensor["device_class"]), (&"V".into(), &"voltage".into()));
    assert_eq!((&sensor["state_class"], &sensor["expire_after"]), (&"measurement".into(), &2700.into()));
    assert_eq!(sensor["state_topic"], "meterd/v1/gw01/meter/总表/data/live");
    assert_eq!(
        (&sensor["name"], &sensor["unique_id"]),
        (&"Voltage l1".into(), &"meterd/gw01/总表/voltage_l1".into())
    );
    // The documented keys of the device, of availability and of a sensor.
    let is_documented = |object: &Json, keys: &[&str]| {
        object.as_object().unwrap().keys().all(|key| keys.contains(&key.as_str()))
    };
    let root = ["device", "origin", "availability", "availability_mode", "qos", "components"];
    assert!(is_documented(&device, &root));
    assert!(is_documented(&device["device"], &["identifiers", "name", "model", "serial_number"]));
    assert!(is_documented(&device["origin"], &["name", "sw_version", "support_url"]));
    assert!(is_documented(&device["availability"][0], &["topic", "value_template"]));
    let keys = [
        "platform",
        "unique_id",
        "name",
        "state_topic",
        "value_template",
        "unit_of_measurement",
        "device_class",
        "state_class",
        "entity_category",
        "expire_after",
    ];
    assert!(is_documented(sensor, &keys));
}

#[test]
fn another_meter_in_its_place_is_not_announced_by_what_the_first_one_had() {
    let plan = plan("full", "");
    let mut known = known(&[("voltage_l1", "live")]);
    known.get_mut("总表").unwrap().address = "000000000001".to_owned();
    let device = announced(&plan, &known);
    assert_eq!(device["components"]["voltage_l1"], serde_json::json!({ "platform": "sensor" }));
    let without = Plan { mqtt: crate::config::Mqtt { home_assistant: None, ..plan.mqtt.clone() }, ..plan };
    assert_eq!(announcements(&without, &known), []);
}

#[test]
fn every_register_has_a_unit_and_classes_that_home_assistant_takes_together() {
    let tables = [Catalogue::dlt645_2007(), Catalogue::dlt645_1997()];
    let mut with_class = 0;
    for register in tables.into_iter().flat_map(Catalogue::registers) {
        let (name, Some(class)) = (register.name(), class(&register)) else { continue };
        let unit = register.unit().map_or("", Unit::text);
        let Some(device) = class.device else {
            assert!(class.state.is_some() || !unit.is_empty(), "{name} would be taken for a text");
            continue;
        };
        with_class += 1;
        if device == "duration" {
            assert!(DURATION.contains(&unit), "{name}: duration in {unit}");
            continue;
        }
        let (_, units, states) = DOCUMENTED.into_iter().find(|(known, ..)| *known == device).unwrap();
        assert!(units.contains(&unit), "{name}: {device} in {unit}");
        assert!(
            class.state.is_none_or(|state| states.contains(&state)),
            "{name}: {device} {:?}",
            class.state
        );
    }
    assert!(with_class > 500, "{with_class}");
    let class_of = |name: &str| class(&Catalogue::dlt645_2007().find(name, 4).unwrap()[0]).unwrap();
    assert_eq!(class_of("active_energy_import").state, Some("total_increasing"));
    assert_eq!(class_of("active_energy_combined").state, Some("total"), "it may fall");
    assert!(
        class(&Catalogue::dlt645_2007().find("communication_address", 4).unwrap()[0]).is_none(),
        "digits, no number"
    );
}

/// What Home Assistant makes of a message: it has `now` and `as_timestamp`, and `value_json` is the payload.
fn rendered(template: &str, payload: &[u8], now: &str) -> String {
    let now: Timestamp = now.parse().unwrap();
    let mut environment = Environment::new();
    environment.add_function("now", move || now.to_string());
    environment.add_function("as_timestamp", |text: String| text.parse::<Timestamp>().unwrap().as_second());
    let payload: Json = serde_json::from_slice(payload).unwrap();
    let value_json = minijinja::Value::from_serialize(payload);
    environment.render_str(template, context! { value_json }).unwrap()
}

#[test]
fn the_template_gives_the_value_of_either_form_and_nothing_for_one_that_is_bad_absent_or_old() {
    for (form, ratio, expected) in [
        ("full", "", "1.5"),
        ("flat", "", "1.5"),
        ("full", "ct = \"75/5\"", "22.5"),
        ("flat", "ct = \"75/5\"", "22.5"),
    ] {
        let plan = plan(form, ratio);
        let register = Catalogue::dlt645_2007().find("current_l1", 4).unwrap()[0];
        let value = Value::Number("1.500".parse().unwrap());
        let message = |quality| {
            let reading = Reading {
                register,
                content: Content::Value(value),
                quality,
                why: None,
                raw: None,
                taken_at: "2026-11-21T02:15:00.431Z".parse().unwrap(),
                primary: plan.meters[0].transformers.primary(register.quantity(), &value),
            };
            assert_eq!(announces(&reading), quality == Quality::Good);
            let report = Report {
                meter: 0,
                task: 0,
                slot: "2026-11-21T02:15:00Z".parse().unwrap(),
                origin: crate::reading::Origin::default(),
                readings: vec![reading],
                failures: Vec::new(),
            };
            compose("8f3c", 1, &Bodies::new(plan.clone().into()).entry(&report).body)
        };
        let device = announced(&plan, &known(&[("current_l1", "live"), ("voltage_l1", "live")]));
        let template =
            |register: &str| device["components"][register]["value_template"].as_str().unwrap().to_owned();
        let (own, other) = (template("current_l1"), template("voltage_l1"));
        let good = message(Quality::Good);
        assert_eq!(rendered(&own, &good, "2026-11-21T02:15:30Z"), expected, "{form} {ratio}");
        assert_eq!(rendered(&other, &good, "2026-11-21T02:15:30Z"), "", "{form}: it is not in the message");
        assert_eq!(rendered(&own, &good, "2026-11-21T03:00:00Z"), "", "{form}: it waited for the broker");
        assert_eq!(rendered(&own, &message(Quality::Suspect), "2026-11-21T02:15:30Z"), "", "{form}: suspect");
    }
}
