// Answers the questions of `explain_key_policy` with @cloud-copilot/iam-simulate: JSON Lines in, JSON Lines out.
// The caller's own policies allow everything, so that the answer is the key policy's.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const ALL = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
const VERDICTS = { Allowed: 'allowed', ExplicitlyDenied: 'denied', ImplicitlyDenied: 'implicit-deny' }

function contextOf(question) {
  const { account, arn, org_id: organization, org_paths: paths } = question.principal
  const context = {
    ...question.context,
    'aws:PrincipalAccount': account,
    'kms:CallerAccount': account,
    'aws:PrincipalArn': question.principal_role_arn ?? arn,
  }
  if (organization !== null) context['aws:PrincipalOrgID'] = organization
  if (paths.length > 0) context['aws:PrincipalOrgPaths'] = paths
  return Object.fromEntries(Object.entries(context).filter(([, value]) => value !== null))
}

async function answer(question) {
  const simulated = await runSimulation({
    request: {
      principal: question.principal.arn,
      action: question.action,
      resource: { resource: question.resource, accountId: question.resource.split(':')[4] },
      contextVariables: contextOf(question),
    },
    identityPolicies: [{ name: 'all', policy: ALL }],
    serviceControlPolicies: [],
    resourceControlPolicies: [],
    resourcePolicy: question.policy,
  }, {})
  if (simulated.resultType === 'error') return { error: simulated.errors.message, details: simulated.errors }
  const verdict = VERDICTS[simulated.overallResult]
  return { verdict, per_action: { [question.action]: verdict } }
}

for await (const line of createInterface({ input: process.stdin })) {
  let said
  try {
    said = await answer(JSON.parse(line))
  } catch (error) {
    said = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(said) + '\n')
}
