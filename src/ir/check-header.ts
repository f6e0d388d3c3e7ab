/** Rules about a model's header: IR version, operator sets, metadata, device configurations. */
import { quoted } from '../proto/quote.ts';
import type { ModelProto, OperatorSetIdProto, StringStringEntryProto } from '../proto/schema.ts';
import { canonicalDomain, type FindingList } from './check-context.ts';
import { checkName } from './check-names.ts';

/** The newest IR version and operator sets that this version of ortho knows. */
const NEWEST_IR = 14n;
const NEWEST_OPSETS: ReadonlyMap<string, bigint> = new Map([
  ['', 28n],
  ['ai.onnx.ml', 5n],
  ['ai.onnx.preview.training', 1n],
  ['ai.onnx.preview', 1n],
  ['ai.onnx.training', 1n],
]);

/** The newest standard operator set that an IR version was released with (onnx/docs/Versioning.md). */
const OPSET_OF_IR: readonly [bigint, bigint][] = [
  [3n, 8n],
  [4n, 9n],
  [5n, 10n],
  [6n, 11n],
  [7n, 15n],
  [8n, 18n],
  [9n, 20n],
  [10n, 22n],
  [11n, 23n],
  [12n, 24n],
  [13n, 26n],
];

const FUNCTIONS_SINCE = 8n;
const OVERLOADS_SINCE = 10n;
const CONFIGURATIONS_SINCE = 11n;

const checkIrVersion = (model: ModelProto, findings: FindingList): void => {
  const { irVersion } = model;
  if (irVersion === undefined) {
    findings.error('ir-version', 'the model has no ir_version');
    return;
  }
  if (irVersion < 1n) findings.error('ir-version', `IR version ${irVersion} does not exist`);
  if (irVersion > NEWEST_IR) {
    findings.error('ir-version', `IR version ${irVersion} is newer than any known (${NEWEST_IR})`);
  }
  if (irVersion < 1n || irVersion > NEWEST_IR) return;
  if (irVersion < 3n) {
    findings.warning('ir-version-old', `IR version ${irVersion} predates opset_import (IR version 3)`);
  }
  const needs = (feature: string, since: bigint, used: boolean): void => {
    if (!used || irVersion >= since) return;
    findings.warning('ir-version-old', `IR version ${irVersion} has no ${feature} (IR version ${since} has)`);
  };
  needs('model-local functions', FUNCTIONS_SINCE, model.functions.length > 0);
  needs(
    'function overloads',
    OVERLOADS_SINCE,
    model.functions.some(({ overload }) => Boolean(overload)),
  );
  needs('device configurations', CONFIGURATIONS_SINCE, model.configuration.length > 0);
};

/** Checks a list of operator sets; the result maps each domain ('' = ai.onnx) to its version. */
export const checkOpsetImports = (
  imports: readonly OperatorSetIdProto[],
  owner: string,
  findings: FindingList,
): Map<string, bigint> => {
  const versions = new Map<string, bigint>();
  for (const { domain: written = '', version = 0n } of imports) {
    const domain = canonicalDomain(written);
    const name = domain === '' ? '' : ` of domain ${quoted(domain)}`;
    checkName(findings, 'operator set domain', written);
    const newest = NEWEST_OPSETS.get(domain);
    if (version < 1n) findings.error('opset-version', `${owner}opset ${version}${name} does not exist`);
    else if (newest !== undefined && version > newest) {
      findings.error('opset-version', `${owner}opset ${version}${name} is newer than any known (${newest})`);
    }
    const earlier = versions.get(domain);
    if (earlier === version) {
      findings.warning('opset-duplicate', `${owner}opset_import lists domain ${quoted(domain)} twice`);
    } else if (earlier !== undefined) {
      findings.error(
        'opset-duplicate',
        `${owner}opset_import lists domain ${quoted(domain)} twice, as ${earlier} and ${version}`,
      );
    }
    versions.set(domain, version);
  }
  return versions;
};

/** Keys of metadata must be distinct: a map keeps the last one only. */
export const checkEntries = (
  entries: readonly StringStringEntryProto[],
  what: string,
  findings: FindingList,
): void => {
  if (entries.length === 0) return;
  const seen = new Set<string>();
  const reported = new Set<string>();
  for (const { key = '' } of entries) {
    if (key === '') findings.warning('metadata-key', `${what} has an entry without a key`);
    checkName(findings, `${what} key`, key);
    if (seen.has(key) && !reported.has(key)) {
      reported.add(key);
      findings.warning('metadata-key', `${what} has the key ${quoted(key)} twice`, { key });
    }
    seen.add(key);
  }
};

const checkConfigurations = (model: ModelProto, findings: FindingList): void => {
  const names = new Set<string>();
  model.configuration.forEach(({ name = '', numDevices, device }, index) => {
    const what = `configuration[${index}]`;
    if (name === '') findings.warning('device-configuration', `${what} has no name`);
    else if (names.has(name)) {
      findings.warning('device-configuration', `configuration ${quoted(name)} is listed twice`);
    }
    names.add(name);
    checkName(findings, 'configuration name', name);
    if (numDevices !== undefined && numDevices < 1) {
      findings.warning('device-configuration', `${what} ${quoted(name)}: num_devices is ${numDevices}`);
    } else if (device.length > 0 && device.length !== (numDevices ?? 0)) {
      findings.warning(
        'device-configuration',
        `${what} ${quoted(name)}: num_devices is ${numDevices ?? 0}, ${device.length} devices are listed`,
      );
    }
  });
};

/** Checks the header; the result maps each imported domain ('' = ai.onnx) to its version. */
export const checkHeader = (model: ModelProto, findings: FindingList): Map<string, bigint> => {
  checkIrVersion(model, findings);
  const opsets = checkOpsetImports(model.opsetImport, '', findings);
  const irVersion = model.irVersion ?? 0n;
  if (opsets.size === 0 && !(irVersion === 1n || irVersion === 2n)) {
    findings.error(
      'opset-missing',
      'opset_import is empty: the model does not say which operators it means',
      undefined,
      'export the model again, or add the opset it was written for',
    );
  }
  const standard = opsets.get('') ?? 0n;
  const newest = OPSET_OF_IR.find(([ir]) => ir === irVersion)?.[1];
  if (newest !== undefined && standard > newest && standard <= (NEWEST_OPSETS.get('') ?? 0n)) {
    findings.note(
      'ir-version-old',
      `IR version ${irVersion} was released with opset ${newest} at most; the model imports ${standard}`,
    );
  }
  checkEntries(model.metadataProps, 'metadata_props', findings);
  checkConfigurations(model, findings);
  return opsets;
};
